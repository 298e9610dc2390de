"""The filters that the package knows: text in `profiles/filters`, written like the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from dask_validator.config import RunConfig
from dask_validator.filters.entries import Entry, entries
from dask_validator.filters.vocabulary import Vocabulary

OWN = "[[filter]]"  # how messages call the user's entries


def vocabulary(config: RunConfig, sessions: Collection[str]) -> Vocabulary:
    """All that filters can be called by these rules; `sessions` are the labels that the features have columns of.

    Raises
    ------
    InputError
        A `[[filter]]` table of the rules that is no filter.
    """
    names, by_params = shipped("names"), config.filters == "params"
    known = {**names["always"], **names["by_params" if by_params else "by_name"]}
    if config.strict_filters:
        known |= names["strict"]
    own = entries(config.filter, OWN)
    return Vocabulary(
        own, _kinds(), known, by_params=by_params, unknown=config.on_unknown_filter, sessions=frozenset(sessions)
    )


@lru_cache(maxsize=8)
def shipped(name: str) -> Mapping[str, Any]:
    """One of the files."""
    return tomllib.loads(
        (files("dask_validator") / "profiles" / "filters" / f"{name}.toml").read_text(encoding="utf-8")
    )


@lru_cache(maxsize=1)
def _kinds() -> tuple[Entry, ...]:
    return entries(shipped("kinds")["filter"], "kind") + entries(shipped("names")["filter"], "kind of names")
