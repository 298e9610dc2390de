"""What a query has fetched, as plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def doubles(column: Any) -> NDArray[np.float64]:
    """A column as numbers, NaN where the table has NULL; shape (n_rows,)."""
    return np.ma.filled(np.ma.masked_array(column).astype(np.float64, copy=False), np.nan)


def plain_values(column: Any) -> NDArray[np.object_]:
    """A column as Python's values, None where the table has NULL; shape (n_rows,)."""
    plain = np.empty(len(column), dtype=object)
    plain[:] = column.tolist()  # of a masked array, None stands for what is masked
    return plain
