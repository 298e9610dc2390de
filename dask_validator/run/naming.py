"""Names of runs, and of the files that they write, where `{run}`, `{instrument}`, `{date}` and `{db}` are filled in."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dask_validator.errors import InputError

FILES = {"journal": "--journal", "wf_output": "--wf-output", "report": "--report"}
_MARK = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_OF_ANY_RUN = {"run": r"\d{8}T\d{6}-[0-9a-f]{6}", "date": r"\d{4}-\d{2}-\d{2}"}


def new_run_id() -> str:
    """The moment in UTC, and six digits that no other run of the same second has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class Names(NamedTuple):
    """What marks in a path stand for.

    Attributes
    ----------
    db
        The absolute path of the database.
    """

    db: Path
    instrument: str
    run_id: str

    @classmethod
    def of(cls, db: str | Path, instrument: str) -> Names:
        """Those of a run that begins now."""
        return cls(Path(db).absolute(), instrument, new_run_id())

    def filled(self, flag: str, path: str | Path) -> Path:
        """The path of this run; `{{` is a brace. Raises InputError for a mark that stands for nothing."""
        values = self._values

        def value(name: str) -> str:
            if name not in values:
                known = ", ".join(f"{{{each}}}" for each in values)
                raise InputError(f"{flag} got {path}; {{{name}}} is none of {known} (write {{{{ for a brace)")
            return values[name]

        return Path(_with(str(path), value, str))

    def in_flags(self, flags: Mapping[str, Any]) -> dict[str, Any]:
        """The same for the files that the flags of a command name."""
        given = {name: flag for name, flag in FILES.items() if flags.get(name) is not None}
        return {**flags, **{name: self.filled(flag, flags[name]) for name, flag in given.items()}}

    def could_be(self, path: str | Path, template: str | Path) -> bool:
        """Whether the absolute path is what the template meant to some run of the instrument on the database."""
        exact = {name: re.escape(value) for name, value in self._values.items()}
        pattern = _with(str(Path(template)), lambda name: (exact | _OF_ANY_RUN)[name], re.escape)
        if not self.filled("", template).is_absolute():
            pattern = re.escape(os.path.join(os.getcwd(), "")) + pattern
        return re.fullmatch(pattern, str(path)) is not None

    @property
    def _values(self) -> dict[str, str]:
        day = datetime.strptime(self.run_id.split("T")[0], "%Y%m%d")
        instrument = quote(self.instrument, safe="")  # as the journal spells it: no name leads elsewhere
        return {"run": self.run_id, "instrument": instrument, "date": f"{day:%Y-%m-%d}", "db": str(self.db)}


def literal(path: str | Path) -> str:
    """The path as a flag takes it: a brace in it is a brace."""
    return str(path).replace("{", "{{").replace("}", "}}")


def holds(path: str | Path, name: str) -> bool:
    """Whether the path has that mark."""
    return name in _MARK.findall(str(path))


def _with(text: str, value: Callable[[str], str], plain: Callable[[str], str]) -> str:
    """The text with marks replaced, and what is between them."""
    parts, end = [], 0
    for found in _MARK.finditer(text):
        mark = plain(found[0][0]) if found[1] is None else value(found[1])
        parts += [plain(text[end : found.start()]), mark]
        end = found.end()
    return "".join([*parts, plain(text[end:])])
