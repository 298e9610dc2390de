"""A table as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from dask_validator.errors import InputError
from dask_validator.run.report_file import write_whole


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write the file; lists are words, what is off is empty. Raises InputError where it cannot be written."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(value) for value in row] for row in rows)
    try:
        write_whole(path, text.getvalue())
    except OSError as error:
        raise InputError(f"the table {path} could not be written ({error.strerror})") from None


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
