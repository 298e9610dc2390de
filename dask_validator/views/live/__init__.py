"""The page of a run on the Dask dashboard.

    run ── events ──► progress ──► sender ═══ the whole state, twice a second at most ═══► plugin ──► document
           (main process)                                                            (scheduler)

Every message holds the whole state, bounded in size: one that is lost is made good by the next, and a page that is
opened late shows what one opened early does.
"""
