"""Which filters look at what is not known yet when the strategy enters (rules.md, section 5). Told, never enforced."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache

from dask_validator.filters.conditions import Filter, conditions
from dask_validator.filters.shipped import shipped
from dask_validator.filters.vocabulary import Vocabulary

_WORD = re.compile(r"[A-Za-z_][\w{}]*")  # in quotes too, where columns of another symbol stand


@lru_cache(maxsize=10_000)
def look_ahead(
    vocabulary: Vocabulary, selecting: Filter, label: str, entry_model: str | None, touch: tuple[str, ...]
) -> tuple[str, ...]:
    """Sentences about what the filter of a strategy reads too early.

    Parameters
    ----------
    label, entry_model
        Of the strategy.
    touch
        Entry models that fill on touch, before the bar of the break has closed.
    """
    columns, others = _read(vocabulary, selecting, label)
    known = shipped("look_ahead")
    found = [
        f"{column} {rule['why']}"
        for column in sorted(columns)
        for rule in known["column"]
        if fnmatchcase(column.lower(), rule["like"].replace("{L}", label).lower())
        and (entry_model in touch or not rule.get("touch", False))
        and label in rule.get("sessions", [label])
    ]
    return (*found, *_later(others, label, known["sessions"]["order"]))


def _read(vocabulary: Vocabulary, selecting: Filter, label: str) -> tuple[set[str], set[str]]:
    """The words of the conditions, among them all columns, and the other sessions."""
    entries = {entry.title: entry for entry in vocabulary.entries}
    words: set[str] = set()
    others: set[str] = set()
    for condition in conditions(selecting):
        entry, values = entries[condition.entry], dict(condition.values)
        texts = " ".join([entry.when, *entry.let.values()])
        words |= {word.replace("{L}", label) for word in _WORD.findall(texts)}
        others |= {str(values[name]) for name, field in entry.fields.items() if field.kind == "session"}
    return words, others


def _later(others: Collection[str], label: str, order: list[str]) -> Iterator[str]:
    for other in sorted(others):
        if not (other in order and label in order and order.index(other) < order.index(label)):
            yield f"session {other} is not known to end before {label} begins"
