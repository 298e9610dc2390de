"""TOML files of users, and other texts: read with bounds, since the path may be one that somebody else has left."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dask_validator.errors import InputError

LONGEST = 1 << 20  # characters


def read_toml(path: Path, of_flag: str) -> tuple[dict[str, Any], str]:
    """Its tables, and the text that they stand in. Raises InputError, which names the flag."""
    try:
        text = bounded_text(path, of_flag, "TOML")
        return tomllib.loads(text), text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{of_flag} got {path}, which is not valid TOML: {error}") from None


def bounded_text(path: Path, of_flag: str, kind: str) -> str:
    """What a file has. Raises InputError, which names the flag, and ValueError for what is no text or too much."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would be read for ever
            raise InputError(f"{of_flag} got {path}, which is not a file; needed one of {kind}")
        with path.open(encoding="utf-8-sig") as file:  # editors may put a byte-order mark first
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise InputError(f"{of_flag} got {path}, which cannot be read ({error.strerror})") from None
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST:,} characters")
    return text


def line_of(text: str, keys: Sequence[str]) -> int:
    """The line in which the last of the keys begins, the others being the tables around it; 1 where it is not found."""
    *tables, name = keys
    wanted, here = ".".join(tables), ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]#]+?)\s*\]", line):
            here = re.sub(r"\s*\.\s*", ".", header[1]).replace('"', "").replace("'", "")
            if here == ".".join(keys):
                return number
        elif here == wanted and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]", line):
            return number
    return line_of(text, tables) if tables else 1
