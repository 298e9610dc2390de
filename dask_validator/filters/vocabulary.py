"""Which filter a strategy's `filter_type` and `filter_params` mean (rules.md, section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dask_validator.errors import InputError
from dask_validator.filters.conditions import Both, Condition, Days, Filter
from dask_validator.filters.entries import Entry
from dask_validator.filters.nodes import Composite, Node, NotUnderstood, as_node, read_nodes
from dask_validator.filters.values import Misfit, Value

Entries = Sequence[Entry]
NO_FILTER = "NO_FILTER"
OF_UNKNOWN = {"all": Days.ALL, "none": Days.NONE}
_DIGITS = "{nn}"  # in a name, two digits; in what it stands for, their number


class Chosen(NamedTuple):
    """What is made of a strategy's filter."""

    filter: Filter
    unknown: str = ""  # why nobody knows which days are meant
    failed: bool = False  # whether the strategy must not be validated then


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """All that filters can be called, and what becomes of those that are called otherwise.

    Attributes
    ----------
    own, shipped
        Entries of the user, which come first, and of the package.
    names
        What a name is short for, as `filter_params` would say it.
    by_params
        Whether `filter_params` says what is meant, rather than `filter_type`.
    unknown
        `all` days, `none`, or `fail`.
    sessions
        Labels that the features have columns of.
    """

    own: Entries
    shipped: Entries
    names: Mapping[str, Mapping[str, Any]]
    by_params: bool
    unknown: str
    sessions: Set[str]
    _chosen: dict[tuple[str, str | None], Chosen] = field(default_factory=dict, repr=False)

    @property
    def entries(self) -> Entries:
        """All of them."""
        return [*self.own, *self.shipped]

    def chosen(self, filter_type: str, filter_params: str | None) -> Chosen:
        """The filter of a strategy. Raises InputError where two entries of one file are about it."""
        key = filter_type, (filter_params or None) if self.by_params else None
        if key not in self._chosen:
            self._chosen[key] = self._choose(*key)
        return self._chosen[key]

    def meant(self, filter_type: str, filter_params: str | None) -> Filter:
        """The same, where it must be understood. Raises NotUnderstood, InputError."""
        if filter_params is not None:
            return self._of(read_nodes(filter_type, filter_params), (self.own, self.shipped), is_whole=True)
        if filter_type == NO_FILTER:
            return Days.ALL
        named = [entry for entry in self.own if entry.name == filter_type and entry.has(())]
        if len(named) > 1:
            titles = " and ".join(entry.title for entry in named)
            raise InputError(f"{titles} are both about the name {filter_type!r}; needed one of them")
        if named:
            return Condition(named[0].title, named[0].read({}, self.sessions))
        if (params := self._short_for(filter_type)) is None:
            raise NotUnderstood("no rule has that name" + (", and filter_params is empty" if self.by_params else ""))
        return self._of(as_node(params), (self.shipped,))

    def of_kind(self, values: Mapping[str, Value]) -> Condition:
        """The shipped kind with these fields and no name, of these values, whatever they are."""
        [entry] = (entry for entry in self.shipped if entry.fields.keys() == values.keys() and not entry.prefix)
        return Condition(entry.title, tuple((name, values[name]) for name in entry.fields))

    def _choose(self, filter_type: str, filter_params: str | None) -> Chosen:
        try:
            return Chosen(self.meant(filter_type, filter_params))
        except NotUnderstood as error:
            return Chosen(OF_UNKNOWN.get(self.unknown, Days.NONE), str(error), self.unknown == "fail")

    def _of(self, node: Node | Composite, files: Sequence[Entries], *, is_whole: bool = False) -> Filter:
        if isinstance(node, Composite):
            return Both(self._of(node.base, files), self._of(node.overlay, files))
        if not node.fields and node.filter_type == NO_FILTER:
            return Days.ALL if is_whole else Days.WITH_ROW
        misfits: list[str] = []
        for file in files:
            found = list(self._fitting(node, file, misfits))
            if len(found) > 1:
                names = " and ".join(condition.entry for condition in found)
                raise InputError(f"{names} are both about filter_params with {_told(node)}; needed one of them")
            if found:
                return found[0]
        raise NotUnderstood(misfits[0] if misfits else f"no kind of filter has {_told(node)}")

    def _fitting(self, node: Node, file: Entries, misfits: list[str]) -> Iterator[Condition]:
        for entry in file:
            if entry.is_for(node.filter_type) and entry.has(node.fields):
                try:
                    yield Condition(entry.title, entry.read(node.fields, self.sessions))
                except Misfit as error:
                    misfits.append(f"filter_params has {error}")

    def _short_for(self, filter_type: str) -> Mapping[str, Any] | None:
        if filter_type in self.names:
            return self.names[filter_type]
        for name, params in self.names.items():
            digits = re.fullmatch(re.escape(name).replace(re.escape(_DIGITS), "([0-9]{2})"), filter_type)
            if digits and _DIGITS in name:
                return {key: float(digits[1]) if value == _DIGITS else value for key, value in params.items()}
        return None

    @property
    def may_read_all(self) -> bool:
        """Whether any column of the features could matter, rather than those that names mean."""
        return self.by_params or bool(self.own)


def _told(node: Node) -> str:
    fields = ", ".join(sorted(node.fields)) or "no field"
    return f"{fields} of {node.filter_type!r:.40}" if node.filter_type is not None else fields
