"""Which filter a strategy means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.filters.conditions import Both, Condition, Days
from dask_validator.filters.shipped import shipped, vocabulary
from dask_validator.filters.vocabulary import Chosen, Vocabulary

SESSIONS = {"L", "P"}
NAMES = vocabulary(RunConfig(), SESSIONS)
STRICT = vocabulary(RunConfig(strict_filters=True), SESSIONS)
PARAMS = vocabulary(RunConfig(filters="params"), SESSIONS)
SIZE = {"min_size": 4.0, "max_size": None}


def chosen(params: object, filter_type: str = "X", by: Vocabulary = PARAMS) -> Chosen:
    """By what `filter_params` says."""
    return by.chosen(filter_type, params if isinstance(params, str) or params is None else json.dumps(params))


def nested(depth: int) -> dict[str, Any]:
    """Composites in each other."""
    return {"base": nested(depth - 1), "overlay": {"skip_days": [1]}} if depth else dict(SIZE)


def test_fields_alone_select_the_kind() -> None:
    """`filter_type` and `description` are labels, the order of keys and whole numbers written as 20.0 say nothing."""
    plain = chosen({"min_rel_vol": 1.2, "lookback_days": 20})
    labelled = chosen({"lookback_days": 20.0, "description": {"any": 1}, "min_rel_vol": 1.2, "filter_type": "X"})

    assert isinstance(plain.filter, Condition)
    assert plain == labelled
    assert dict(plain.filter.values) == {"min_rel_vol": 1.2, "lookback_days": 20.0}
    assert chosen({"min_size": 4.0}) == chosen(SIZE)


UNKNOWN = {
    "a field too many": {**SIZE, "min_volume": 1.0},
    "a field too few": {"min_rel_vol": 1.2},
    "a misspelled field": {"min_sizes": 4.0},
    "a number as text": {"min_size": "4"},
    "a truth value as number": {"min_size": True},
    "a number as truth value": {"require_continues": 1},
    "null where a number is needed": {"min_volume": None},
    "another lookback": {"min_rel_vol": 1.2, "lookback_days": 21},
    "a mode that nobody knows": {"mode": "above_pdh_long"},
    "low, strictly": {"pct_threshold": 20.0, "direction": "low", "strict_gt": True},
    "a direction that nobody knows": {"direction": "up"},
    "a weekday that is none": {"skip_days": [7]},
    "a weekday in words": {"skip_days": ["Friday"]},
    "no list of weekdays": {"skip_days": 4},
    "a session without columns": {"prior_session": "Q"},
    "a ratio of no kind": {"min_ratio": 1.0},
    "no field at all": {},
    "filter_params of another filter": {**SIZE, "filter_type": "Y"},
    "a filter_type that is no text": {**SIZE, "filter_type": 5},
    "half a composite": {"base": SIZE},
    "a composite with a field": {"base": SIZE, "overlay": {"skip_days": [1]}, "min_size": 4.0},
    "a composite of no objects": {"base": 4, "overlay": {"skip_days": [1]}},
    "an unknown base": {"base": {"exclude": True}, "overlay": {"skip_days": [1]}},
    "an unknown overlay": {"base": SIZE, "overlay": {"exclude": True}},
    "an overlay whose filter_type is no text": {"base": SIZE, "overlay": {"skip_days": [1], "filter_type": 1}},
    "five composites in each other": nested(5),
    "a list": [SIZE],
    "a number": 4,
    "NaN": '{"min_volume": NaN}',
    "infinity": '{"min_volume": Infinity}',
    "a number beyond doubles": '{"min_volume": 1e999}',
    "a key twice": '{"min_size": 4.0, "min_size": 5.0}',
    "a key twice further down": '{"base": {"min_size": 4, "min_size": 4}, "overlay": {"skip_days": []}}',
    "what is not readable": '{"min_size": 4.0',
    "a name alone that no rule has": None,
    "a blank": " ",
    "null": "null",
}


@pytest.mark.parametrize("params", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_certain_is_unknown(params: object) -> None:
    """No guess: whatever does not fit a kind to the letter has a reason, and the strategy is FAILED."""
    found = chosen(params)

    assert found.unknown
    assert found.failed
    assert found.filter is Days.NONE


def test_prefixes_tell_ratios_apart() -> None:
    """Four kinds have one field: the node's own filter_type says which, also inside a composite."""
    ratio = {"min_ratio": 1.05}
    kinds = {prefix: chosen(ratio, f"{prefix}R105").filter for prefix in ("PDR_", "GAP_", "PIT_", "ATR_VEL_")}
    inside = chosen({"base": {**ratio, "filter_type": "GAP_R105"}, "overlay": {"skip_days": [4]}}).filter

    assert len(set(kinds.values())) == 4
    assert isinstance(inside, Both)
    assert inside.base == kinds["GAP_"]
    assert chosen({"base": ratio, "overlay": {"skip_days": [4]}}, "GAP_R105").unknown


def test_composites_reach_four_deep() -> None:
    """Deeper ones are unknown."""
    assert not chosen(nested(4)).unknown


def test_no_filter() -> None:
    """Every day when it stands alone; as a part of a composite it needs the day's row."""
    composite = chosen({"base": {"filter_type": "NO_FILTER"}, "overlay": {"skip_days": [4]}}).filter

    assert chosen({"filter_type": "NO_FILTER"}, "NO_FILTER").filter is Days.ALL
    assert chosen({}, "NO_FILTER").filter is Days.ALL
    assert chosen(None, "NO_FILTER").filter is Days.ALL
    assert isinstance(composite, Both)
    assert composite.base is Days.WITH_ROW
    assert NAMES.chosen("NO_FILTER", "[").filter is Days.ALL


@pytest.mark.parametrize("empty", [None, ""])
def test_without_params_the_name_says_it(empty: str | None) -> None:
    """The names of the rules are short for params, COST_LTnn too; strict ones and others are unknown."""
    continues = chosen({"base": {"min_size": 4}, "overlay": {"require_continues": True}})

    assert chosen(empty, "ORB_G4_CONT") == continues
    assert chosen(empty, "COST_LT08") == chosen({"max_cost_ratio_pct": 8})
    assert chosen(empty, "VOL_RV12_N20") == chosen({"min_rel_vol": 1.2, "lookback_days": 20})
    assert [
        name for name in ("COST_LT8", "COST_LT123", *shipped("names")["strict"]) if not chosen(empty, name).unknown
    ] == []


def test_names_do_not_look_at_params() -> None:
    """As ever, by default: only `filter_type` counts, relative volume never, and cost shares are not known."""
    assert NAMES.chosen("ORB_G4", '{"min_size": 99}') == NAMES.chosen("ORB_G4", None)
    assert NAMES.chosen("VOL_RV12_N20", None).filter != PARAMS.chosen("VOL_RV12_N20", None).filter
    assert NAMES.chosen("COST_LT08", '{"max_cost_ratio_pct": 8.0}') == Chosen(Days.ALL, "no rule has that name")


@pytest.mark.parametrize("name", [*shipped("names")["strict"], "MYSTERY", "", "orb_g4", "ORB_G4 "])
def test_unlisted_names_select_every_day_unless_strict(name: str) -> None:
    """A name that is not listed is no filter, features row or not; strictly, five more are and others fail."""
    strictly = STRICT.chosen(name, None)

    assert NAMES.chosen(name, None).filter is Days.ALL
    assert NAMES.chosen(name, None).unknown
    assert strictly.failed == (name not in shipped("names")["strict"]) == bool(strictly.unknown)


@pytest.mark.parametrize(("unknown", "days"), [("all", Days.ALL), ("none", Days.NONE)])
def test_what_becomes_of_unknown_filters(unknown: Any, days: Days) -> None:
    """Every day, or none, as the rules say; the reason stays known."""
    found = chosen({}, by=vocabulary(RunConfig(filters="params", unknown_filters=unknown), SESSIONS))

    assert found == Chosen(days, found.unknown)
    assert found.unknown


def own(*tables: dict[str, Any], filters: Any = "params") -> Vocabulary:
    """With entries of a rules file."""
    return vocabulary(RunConfig(filters=filters, filter=tables), SESSIONS)


def test_own_entries_come_first() -> None:
    """A user's kind with fields of a shipped one replaces it, for the nodes that it is about."""
    mine = own({"fields": {"min_volume": "number"}, "prefix": "MY_", "when": "a > $min_volume"})

    assert chosen({"min_volume": 1}, "MY_VOLUME", mine).filter == Condition(
        "[[filter]] 1 (MY_)", (("min_volume", 1.0),)
    )
    assert chosen({"min_volume": 1}, "VOLUME", mine) == chosen({"min_volume": 1}, "VOLUME")


def test_two_own_entries_about_one_filter_are_refused() -> None:
    """Which of them counts would be chance."""
    one = {"fields": {"x": "number"}, "when": "a > $x"}
    with pytest.raises(InputError, match=r"\[\[filter\]\] 1 and \[\[filter\]\] 3 are both about"):
        chosen({"x": 1}, by=own(one, {"fields": {"y": "number"}, "when": "a > $y"}, one))


def test_two_own_entries_of_one_name_are_refused() -> None:
    """The same of strategies that have a name and no `filter_params`."""
    one = {"name": "MINE", "when": "a > 1"}
    with pytest.raises(InputError, match=r"1 \(MINE\) and \[\[filter\]\] 2 \(MINE\) are both about the name 'MINE'"):
        own(one, {**one, "when": "a > 2"}).chosen("MINE", None)


@pytest.mark.parametrize("filters", ["names", "params"])
def test_an_own_name_needs_no_params(filters: Any) -> None:
    """An entry with a name, and no field that must be there, is what strategies of that name mean."""
    mine = own({"name": "QUIET", "fields": {"x": "number"}, "optional": ["x"], "when": "$x is null"}, filters=filters)

    assert mine.chosen("QUIET", None).filter == Condition("[[filter]] 1 (QUIET)", (("x", None),))
    assert mine.chosen("QUIETER", None).unknown


BAD = {
    "no table of fields": ({"fields": 1, "when": "a"}, "fields = 1"),
    "an unknown type": ({"fields": {"x": "int"}, "when": "a"}, r"fields\.x = 'int'; needed number"),
    "values of several types": ({"fields": {"x": [1, "a"]}, "when": "a"}, r"fields\.x"),
    "a field named like a part": ({"fields": {"base": "number"}, "when": "a"}, "'base'"),
    "a field that is no word": ({"fields": {"a b": "number"}, "when": "a"}, "'a b'"),
    "optional of no field": ({"optional": ["x"], "when": "a"}, "optional"),
    "no condition": ({"fields": {}}, "when = None"),
    "an unknown key": ({"wen": "a", "when": "a"}, "has wen"),
    "a name and a prefix": ({"name": "a", "prefix": "b", "when": "a"}, "name and prefix"),
    "an empty prefix": ({"prefix": "", "when": "a"}, "prefix = ''"),
    "let named like a field": ({"fields": {"x": "number"}, "let": {"x": "1"}, "when": "a"}, r"let\.x"),
    "let of a number": ({"let": {"x": 1}, "when": "a"}, r"let\.x"),
}


@pytest.mark.parametrize(("table", "said"), BAD.values(), ids=BAD)
def test_a_table_that_is_no_filter_is_named(table: dict[str, Any], said: str) -> None:
    """One line that says which entry, and what of it."""
    with pytest.raises(InputError, match=rf"^\[\[filter\]\] 2.*{said}"):
        own({"when": "true"}, table)
