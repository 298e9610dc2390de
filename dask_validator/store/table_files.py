"""Frames as files: CSV, Parquet or JSON, written by DuckDB, whole or not at all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb

from dask_validator.errors import InputError
from dask_validator.store.access import Access, settings
from dask_validator.store.connection import ctrl_c_stays_ctrl_c, draw_no_progress, first_line
from dask_validator.store.kinds import literal, quoted
from dask_validator.system.files import replacing

FORMATS = {
    ".csv": "FORMAT csv, HEADER",
    ".parquet": "FORMAT parquet, COMPRESSION zstd",
    ".json": "FORMAT json, ARRAY true",
}
OTHER_FILES = Access(external_views=True)  # than that of a database


def check_format(flag: str, path: Path) -> None:
    """Raise InputError for a file whose name does not say what is to be written."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{flag} got {path}; needed a name that ends in {', '.join(FORMATS)}")


def write_table(frame: Any, path: Path, days: Collection[str] = ()) -> None:
    """Write a pandas frame in the place of the file, whose ending says the format.

    Missing values are NULL, in CSV nothing; JSON has no infinity, and null in place of it.

    Parameters
    ----------
    days
        Columns that are days, not moments.

    Raises
    ------
    InputError
        It cannot be written; then nothing has changed.
    """
    ending = path.suffix.lower()
    try:
        with replacing(path) as beside, ctrl_c_stays_ctrl_c(), _alone() as connection:
            draw_no_progress(connection)
            connection.register("frame", frame)
            kinds = connection.execute("SELECT column_name, column_type FROM (DESCRIBE frame)").fetchall()
            wanted = ", ".join(_column(name, kind, ending, is_day=name in days) for name, kind in kinds)
            options = f"{FORMATS[ending]}, USE_TMP_FILE false"
            connection.execute(f"COPY (SELECT {wanted} FROM frame) TO {literal(str(beside))} ({options})")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    except duckdb.Error as error:
        raise InputError(f"{path} cannot be written: {first_line(error)}") from error


def _alone() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={**settings(OTHER_FILES)})


def _column(name: str, kind: str, ending: str, *, is_day: bool) -> str:
    column = quoted(name)
    if is_day:
        return f"{column}::DATE AS {column}"
    if kind == "DOUBLE" and ending == ".json":
        return f"CASE WHEN isfinite({column}) THEN {column} END AS {column}"
    return column
