"""What a strategy's parameters say about its filter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

from .days import Day
from .filters import BREAKS_WITHIN, SIZE_AT_LEAST, SKIPPED_WEEKDAY, sessions_of, split_name
from .kinds import KINDS, Kind

DEEPEST = 4
LABELS_OF_A_NODE = ("filter_type", "description")


class Unknown(ValueError):
    """Nobody understands this filter (rules.md, section 9)."""


class EveryDay(NamedTuple):
    """`NO_FILTER`."""


class Both(NamedTuple):
    """Two nodes that must both hold."""

    base: Node
    overlay: Node


class Simple(NamedTuple):
    """A node of one kind."""

    kind: Kind
    fields: Mapping[str, Any]


Node = Union[EveryDay, Both, Simple]  # noqa: UP007  # a name before it is defined


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without duplicate keys (rules.md, section 9)."""
    if len(dict(pairs)) < len(pairs):
        raise Unknown("duplicate keys")
    return dict(pairs)


def named(filter_type: str) -> dict[str, Any]:
    """A name of rules.md, section 5, or `COST_LTnn`, as a node (rules.md, section 9)."""
    if filter_type == "NO_FILTER":
        return {"filter_type": filter_type}
    if filter_type == "VOL_RV12_N20":
        return {"filter_type": filter_type, "min_rel_vol": 1.2, "lookback_days": 20}
    if re.fullmatch("COST_LT[0-9][0-9]", filter_type):
        return {"filter_type": filter_type, "max_cost_ratio_pct": float(filter_type[-2:])}
    base, extra = split_name(filter_type)
    if base not in SIZE_AT_LEAST:
        raise Unknown(filter_type)
    node = {"filter_type": base, "min_size": SIZE_AT_LEAST[base]}
    if extra is None:
        return node
    if extra in SKIPPED_WEEKDAY:
        overlay: dict[str, Any] = {"skip_days": [SKIPPED_WEEKDAY[extra]]}
    elif extra in BREAKS_WITHIN:
        overlay = {"max_delay_min": BREAKS_WITHIN[extra]}
    else:
        overlay = {"require_continues": True}
    return {"filter_type": filter_type, "base": node, "overlay": overlay}


def node_of(value: Any, columns: Iterable[str], depth: int = 0) -> Node:
    """The node that a JSON value stands for (rules.md, section 9)."""
    if not isinstance(value, dict):
        raise Unknown("not an object")
    fields = {name: value[name] for name in value if name not in LABELS_OF_A_NODE}
    if not fields and value.get("filter_type") == "NO_FILTER":
        return EveryDay()
    if fields.keys() == {"base", "overlay"}:
        if depth == DEEPEST:
            raise Unknown("nested too deep")
        return Both(node_of(fields["base"], columns, depth + 1), node_of(fields["overlay"], columns, depth + 1))

    name = value.get("filter_type")
    if not isinstance(name, str | None):
        raise Unknown("a filter_type that is no text")
    for kind in KINDS:
        if kind.fields.keys() != fields.keys() or not (name or "").startswith(kind.prefix):
            continue
        if not all(is_right(fields[field]) for field, is_right in kind.fields.items()):
            continue
        if "prior_session" in fields and fields["prior_session"] not in sessions_of(columns):
            continue
        return Simple(kind, fields)
    raise Unknown("no such kind")


def understood(filter_type: str, filter_params: str | None, columns: Iterable[str]) -> Node:
    """The condition of a strategy, or Unknown (rules.md, section 9)."""
    if not filter_params:
        return node_of(named(filter_type), columns)
    try:
        value = json.loads(filter_params, object_pairs_hook=unique)
    except (RecursionError, json.JSONDecodeError):
        raise Unknown("unreadable") from None
    if not isinstance(value, dict):
        raise Unknown("not an object")
    if value.get("filter_type", filter_type) != filter_type:
        raise Unknown("the parameters of another filter")
    return node_of({**value, "filter_type": filter_type}, columns)


def columns_of(node: Node, label: str) -> list[str]:
    """The columns that the condition needs (rules.md, section 9)."""
    if isinstance(node, EveryDay):
        return []
    if isinstance(node, Both):
        return columns_of(node.base, label) + columns_of(node.overlay, label)
    prior = node.fields.get("prior_session", "")
    return [column.format(L=label, P=prior) for column in node.kind.columns]


def holds(node: Node, day: Day) -> bool:
    """Whether the condition holds on a day with a features row (rules.md, section 9)."""
    if isinstance(node, EveryDay):
        return True
    if isinstance(node, Both):
        return holds(node.base, day) and holds(node.overlay, day)
    return node.kind.holds(node.fields, day)
