"""Which strategies of an instrument a run validates: those of a status, or those that are named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_validator.errors import InputError
from dask_validator.model import Status
from dask_validator.wording.harmless import plain
from dask_validator.wording.sentences import listed, of_them

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

MOST_NAMED = 5
CHOICES = ("waiting", "passed", "rejected", "failed", "all")  # what a user may ask for
_WAITING = "(validation_status IS NULL OR validation_status = '')"
_CONDITIONS = {
    "waiting": _WAITING,
    "passed": f"validation_status = '{Status.PASSED}'",
    "rejected": f"validation_status = '{Status.REJECTED}'",
    "failed": f"validation_status = '{Status.FAILED}'",
    "all": "TRUE",
    "waiting or failed": f"({_WAITING} OR validation_status = '{Status.FAILED}')",
    "canonical": "is_canonical",  # as for the false discovery rate
}


class Selection(NamedTuple):
    """Rows of `experimental_strategies`, whatever their instrument.

    Attributes
    ----------
    which
        One of CHOICES, or what a run needs beside them.
    ids
        Only these of them; None: all.
    also
        What has to hold besides, in SQL.
    """

    which: str = "waiting"
    ids: tuple[str, ...] | None = None
    also: str = ""

    @classmethod
    def of(cls, strategies: str | Iterable[str]) -> Selection:
        """By one of CHOICES, or by ids. Raises InputError."""
        if isinstance(strategies, str):
            if strategies not in CHOICES:
                raise InputError(f"strategies got {strategies!r}; needed one of {', '.join(CHOICES)}, or a list of ids")
            return cls(strategies)
        ids = list(strategies)
        if not ids or not all(isinstance(each, str) and each for each in ids):
            raise InputError("strategies got a list that is empty or has more than texts in it; needed strategy_ids")
        return EVERY._replace(ids=tuple(sorted(set(ids))))

    @property
    def condition(self) -> str:
        """SQL that holds of a row of the instrument `$instrument`; `parameters` has the values."""
        parts = ["instrument = $instrument", _CONDITIONS[self.which], self.also]
        parts.append("" if self.ids is None else "strategy_id IN (SELECT unnest($ids::VARCHAR[]))")
        return " AND ".join(filter(None, parts))

    def parameters(self, instrument: str) -> dict[str, Any]:
        """What the condition asks for, by name."""
        return {"instrument": instrument} | ({} if self.ids is None else {"ids": list(self.ids)})

    def where(self, also: str) -> Selection:
        """Those of which that holds too."""
        return self._replace(also=" AND ".join(filter(None, [self.also, also])))

    @property
    def retrying(self) -> Selection:
        """With those that FAILED, where the waiting ones are meant."""
        return WAITING_OR_FAILED if self == WAITING else self

    def covers(self, other: Selection) -> bool:
        """Whether a strategy of the other, not touched since, is one of these."""
        wider = {self.which, "waiting"} if self == WAITING_OR_FAILED else {self.which}
        return self == EVERY or (self.ids == other.ids and other.which in wider)

    @property
    def is_known(self) -> bool:
        """Whether this version knows what is meant: a journal may be of another one."""
        return self.which in _CONDITIONS

    def checked(self) -> Selection:
        """Itself. Raises InputError for one that this version does not know."""
        if not self.is_known:
            raise InputError(f"got strategies that are {self.which!r}; needed one of {', '.join(CHOICES)}")
        return self

    @property
    def said(self) -> str:
        """What the record of a run says of it."""
        return self.which if self.ids is None else f"{len(self.ids)} ids"

    @property
    def strategies(self) -> str:
        """What messages call them."""
        if self.ids is not None:
            return "chosen strategies"
        if self.which == WAITING_OR_FAILED.which:  # who is tried again waits again
            return WAITING.strategies
        return "strategies" if self.which == EVERY.which else f"{self.which} strategies"


WAITING = Selection()
WAITING_OR_FAILED = Selection("waiting or failed")
EVERY = Selection("all")
REJECTED = Selection("rejected")
FAILED = Selection("failed")
CANONICAL = Selection("canonical")


def shared_out(
    connection: duckdb.DuckDBPyConnection, path: str | Path, instruments: Sequence[str], selection: Selection
) -> dict[str, Selection]:
    """By instrument, its own of the ids. Raises InputError for ids that are of none of them: most likely a slip."""
    if selection.ids is None:
        return dict.fromkeys(instruments, selection)
    rows = connection.execute(
        "SELECT id, instrument FROM (SELECT unnest($1::VARCHAR[]) AS id) "
        "LEFT JOIN experimental_strategies ON strategy_id = id ORDER BY id",
        [list(selection.ids)],
    ).fetchall()
    if foreign := [f"{name!r} ({f'of {of}' if of else 'not there'})" for name, of in rows if of not in instruments]:
        ids = of_them(len(foreign), "id that is no strategy", "ids that are no strategies")
        raise InputError(
            f"got {ids} of {', '.join(instruments)} in {path}: {plain(listed(foreign, MOST_NAMED))}; needed ids of the "
            "instrument: leave out the others, or name theirs"
        )
    return {own: selection._replace(ids=tuple(name for name, of in rows if of == own)) for own in instruments}
