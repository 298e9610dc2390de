"""A table as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from dask_validator.errors import InputError
from dask_validator.run.report_file import write_whole

LONGEST = 65_536  # bytes of a header


def check_csv(flag: str, path: Path, columns: Sequence[str]) -> None:
    """Raise InputError unless the file may become the table: it is called so, and not there or such a table.

    Parameters
    ----------
    columns
        Those that the header of such a table ends with.
    """
    if path.suffix.lower() != ".csv":
        raise InputError(f"{flag} got {path}; needed a name that ends in .csv")
    try:
        with path.open("rb") as file:
            header = file.readline(LONGEST).decode(errors="replace").rstrip("\n").split(",")
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{flag} got {path}, which cannot be read ({error.strerror})") from None
    if header != [""] and header[-len(columns) :] != [*columns]:
        raise InputError(
            f"{flag} got {path}, which is there and is no such table; give another file, or remove that one"
        )


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
