"""`filter_params` read as a tree of nodes (rules.md, section 5). What is not certain is unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from dask_validator.filters.entries import LABELS_OF_NODES, PARTS

MOST_DEEP = 4  # composites in each other


class NotUnderstood(ValueError):
    """Why nobody can say which days are meant."""


class Node(NamedTuple):
    """One condition: fields that select the kind, and what the user calls it."""

    filter_type: str | None
    fields: Mapping[str, Any]


class Composite(NamedTuple):
    """Two nodes that must both hold."""

    base: Node | Composite
    overlay: Node | Composite


def read_nodes(filter_type: str, filter_params: str) -> Node | Composite:
    """The tree of a strategy with this `filter_type`. Raises NotUnderstood."""
    try:
        params = json.loads(filter_params, object_pairs_hook=_once_each, parse_constant=_refused)
    except NotUnderstood:
        raise
    except (ValueError, RecursionError):
        raise NotUnderstood("filter_params is not readable as JSON") from None
    if not isinstance(params, dict):
        raise NotUnderstood(f"filter_params is a JSON {type(params).__name__}, needed an object")
    if params.get("filter_type", filter_type) != filter_type:
        raise NotUnderstood(f"filter_params is of the filter {params['filter_type']!r:.40}")
    return as_node({**params, "filter_type": filter_type})


def as_node(params: Mapping[str, Any], depth: int = 1) -> Node | Composite:
    """One object of JSON. Raises NotUnderstood."""
    fields = {name: value for name, value in params.items() if name not in LABELS_OF_NODES}
    if fields.keys() != PARTS:
        filter_type = params.get("filter_type")
        if filter_type is not None and not isinstance(filter_type, str):
            raise NotUnderstood(f"a part of filter_params has filter_type = {filter_type!r:.40}, needed a text")
        return Node(filter_type, fields)
    if depth > MOST_DEEP:
        raise NotUnderstood(f"filter_params has more than {MOST_DEEP} composites in each other")
    if not all(isinstance(part, Mapping) for part in fields.values()):
        raise NotUnderstood("filter_params has a base or overlay that is no object")
    return Composite(as_node(fields["base"], depth + 1), as_node(fields["overlay"], depth + 1))


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise NotUnderstood("filter_params has a key twice")
    return found


def _refused(constant: str) -> None:
    raise NotUnderstood(f"filter_params has {constant}, needed finite numbers")
