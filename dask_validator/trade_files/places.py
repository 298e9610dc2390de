"""Where trades come from: files, folders and globs of them, zips, a table of a DuckDB file, a frame."""

from __future__ import annotations

import glob
import os
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dask_validator.errors import InputError

CSV, PARQUET, JSON, TABLE, FRAME = "csv", "parquet", "json", "table", "frame"
ENDINGS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), CSV),
    **dict.fromkeys((".parquet", ".pq"), PARQUET),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), JSON),
}
PACKED = (".gz", ".zst")
DATABASES = (".duckdb", ".db", ".ddb")


class Place(NamedTuple):
    """One file, table or frame."""

    kind: str
    path: str  # what a reader of DuckDB opens; for a zip its unpacked document
    name: str  # what people know it by
    strategy: str | None  # by the file's name
    frame: Any = None


def places(source: Any, table: str | None, scratch: Path) -> list[Place]:
    """Everything that the source names, in the order of names; zips are unpacked into `scratch`.

    Raises
    ------
    InputError
        There is nothing, or nothing that can hold trades.
    """
    if not isinstance(source, str | os.PathLike):
        return _of_objects(source, table, scratch)
    path = Path(source)
    if table is not None or path.suffix.lower() in DATABASES:
        return [_table(path, table)]
    found = [place for file in _files(path) for place in _of_file(file, scratch)]
    _refuse_same_names(found)
    return found


def _of_objects(source: Any, table: str | None, scratch: Path) -> list[Place]:
    if isinstance(source, Sequence) and not isinstance(source, bytes):
        found = [place for one in source for place in places(one, table, scratch)]
        _refuse_same_names([place for place in found if place.kind != FRAME])
        return found
    if not hasattr(source, "columns") and not hasattr(source, "schema"):
        raise InputError(
            f"the trades are a {type(source).__name__}; needed a path, a pandas or Arrow table, or a list of these"
        )
    return [Place(FRAME, "", "frame", None, source)]


def _table(path: Path, table: str | None) -> Place:
    if table is None:
        raise InputError(f"{path} is a database; say which table or view of it holds the trades with --table NAME")
    return Place(TABLE, str(path), table, None)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if kind_of(file) and not file.name.startswith("."))
        if not files:
            raise InputError(f"the folder {path} has no trade log; needed files that end in {', '.join(_known())}")
        return files
    if path.exists():
        if not kind_of(path):
            raise InputError(f"{path} has no ending of a trade log; needed one of {', '.join(_known())}")
        return [path]
    files = sorted(Path(file) for file in glob.glob(str(path)))
    if not files:
        raise InputError(f"there is no {path}; give a file, a folder or a glob in quotes")
    return [one for file in files for one in _files(file)]


def _known() -> list[str]:
    return [*ENDINGS, ".zip"]


def kind_of(path: Path) -> str | None:
    """What a file holds, by its name; None for what is no trade log."""
    name = path.name.lower()
    bare = next((name.removesuffix(packed) for packed in PACKED if name.endswith(packed)), name)
    return "zip" if name.endswith(".zip") else ENDINGS.get(os.path.splitext(bare)[1])


def _of_file(path: Path, scratch: Path) -> list[Place]:
    kind = kind_of(path)
    if kind == "zip":
        return _unpacked(path, scratch)
    stem = re.sub(r"(?:\.(?:gz|zst))?$", "", path.name, flags=re.IGNORECASE)
    return [Place(str(kind), str(path), str(path), os.path.splitext(stem)[0])]


def _unpacked(path: Path, scratch: Path) -> list[Place]:
    """The documents of a zip; those that only say how the result was made hold no trades."""
    try:
        with zipfile.ZipFile(path) as packed:
            inside = [name for name in packed.namelist() if name.lower().endswith(".json") and "_config" not in name]
            if not inside:
                raise InputError(f"{path} has no JSON inside; unpack it, then give its files")
            # A folder each: two zips may hold documents of one name.
            folder = scratch / str(len(os.listdir(scratch)))
            return [
                Place(JSON, packed.extract(name, folder), f"{path}:{name}", Path(name).stem) for name in sorted(inside)
            ]
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from error


def _refuse_same_names(found: Sequence[Place]) -> None:
    """Raise InputError where one file is named twice: its trades would count twice."""
    twice = [name for name, count in Counter(os.path.abspath(place.name) for place in found).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]} is named twice; name each file once")
