"""A sweep as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_validator.run.swept import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from dask_validator.run.swept import Sweep


def frame_of(sweep: Sweep) -> pd.DataFrame:
    """One row a combination."""
    import pandas as pd

    return pd.DataFrame(sweep.rows, columns=[*sweep.flags, *COLUMNS])
