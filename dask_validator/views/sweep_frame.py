"""A sweep as a frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from dask_validator.errors import InputError
from dask_validator.run.report_file import write_whole
from dask_validator.run.swept import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from dask_validator.run.swept import Sweep


def frame_of(sweep: Sweep) -> pd.DataFrame:
    """One row a combination."""
    import pandas as pd

    return pd.DataFrame(sweep.rows, columns=[*sweep.flags, *COLUMNS])


def write_csv(sweep: Sweep, path: Path) -> None:
    """The same rows as a file; lists are words, what is off is empty. Raises InputError where it cannot be written."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*sweep.flags, *COLUMNS], lineterminator="\n")
    table.writeheader()
    for row in sweep.rows:
        table.writerow({name: _cell(value) for name, value in row.items()})
    try:
        write_whole(path, text.getvalue())
    except OSError as error:
        raise InputError(f"the table {path} could not be written ({error.strerror})") from None


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
