"""Workers of a Dask cluster: of our own, or of others. All that knows Dask's internals is here, but for `live`."""
