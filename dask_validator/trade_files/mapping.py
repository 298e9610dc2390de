"""What a user says of files of no known tool: their columns by our names, how cells are written. Names, never SQL."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dask_validator.errors import InputError
from dask_validator.trade_files.declaration import KINDS, NATIVE, Format, named_format, tidy

_KNOWN: dict[str, type] = {
    "columns": dict,
    "skip_rows": int,
    "separator": str,
    "decimal": str,
    "date_format": str,
}


class Layout(NamedTuple):
    """How a file is laid out, as far as it was said."""

    columns: Mapping[str, str] = {}  # ours by theirs
    skip_rows: int | None = None  # lines before the header
    separator: str | None = None
    decimal: str | None = None
    date_format: str | None = None


def layout(said: Mapping[str, str] | Sequence[str] | str | Path | None) -> Layout:
    """From `theirs=ours` pairs, a mapping of them, or a TOML file.

    Raises
    ------
    InputError
        A pair or a key that means nothing.
    """
    if not said:
        return Layout()
    if isinstance(said, Mapping):
        return Layout(_checked(said))
    said = [str(said)] if isinstance(said, str | Path) else [str(one) for one in said]
    if len(said) == 1 and said[0].lower().endswith(".toml"):
        return _of_toml(Path(said[0]))
    pairs = [one.rpartition("=") for one in said]
    if wrong := [one for one, (theirs, _, ours) in zip(said, pairs, strict=True) if not theirs or not ours]:
        raise InputError(f"--columns got {wrong[0]}; needed theirs=ours, such as Profit=pnl, or one TOML file")
    return Layout(_checked({theirs: ours for theirs, _, ours in pairs}))


def _of_toml(path: Path) -> Layout:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"--columns got {path}, which cannot be read: {error}") from None
    for key, value in table.items():
        if not isinstance(value, _KNOWN.get(key, ())) or isinstance(value, bool):
            raise InputError(
                f"{path} has `{key}` = {value!r}; needed a table `columns`, a number `skip_rows`, texts `separator`, "
                "`decimal` and `date_format`"
            )
    return _said(table, path)


def _said(table: dict[str, Any], path: Path) -> Layout:
    if table.get("decimal") not in (None, ".", ","):
        raise InputError(f"{path} has decimal = {table['decimal']!r}; needed '.' or ','")
    if len(table.get("separator", ",").encode()) != 1:
        raise InputError(f"{path} has separator = {table['separator']!r}; needed one character")
    if table.get("skip_rows", 0) < 0:
        raise InputError(f"{path} has skip_rows = {table['skip_rows']}; needed 0 or more")
    return Layout(**{**table, "columns": _checked(table.get("columns", {}))})


def _ours() -> list[str]:
    native = named_format(NATIVE)
    return [name for kind in KINDS for name in native.columns[kind]]


def _checked(columns: Mapping[str, Any]) -> dict[str, str]:
    for theirs, ours in columns.items():
        if ours not in _ours():
            raise InputError(f"--columns got {theirs}={ours}; needed a name of ours after the =: {', '.join(_ours())}")
    twice = [ours for ours in columns.values() if list(columns.values()).count(ours) > 1]
    if twice:
        raise InputError(f"--columns gives {twice[0]} to several columns; needed one of them")
    return {str(theirs): str(ours) for theirs, ours in columns.items()}


def renamed(one: Format, said: Layout) -> Format:
    """The format with the headers that the user names, ahead of its own."""
    columns = {
        kind: {
            name: [_verbatim(theirs) for theirs, ours in said.columns.items() if ours == name] or headers
            for name, headers in one.columns[kind].items()
        }
        for kind in KINDS
    }
    return one._replace(columns=columns, date_format=said.date_format or one.date_format)


def _verbatim(header: str) -> str:
    """A header as a pattern that only it matches."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in tidy(header))
