"""How many cores there are to use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores of this machine as Dask counts them, which honours affinity and cgroups."""
    try:
        from dask.system import CPU_COUNT  # takes longer to import than a short run lasts
    except Exception:  # the user's configuration of Dask cannot be read, which only a cluster needs
        return os.cpu_count() or 1
    return int(CPU_COUNT)
