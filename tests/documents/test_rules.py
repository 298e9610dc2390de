"""`docs/rules.md` says the numbers, names and tables that the code applies."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from dask_validator.config import SEASON_ZONES, RunConfig, flag
from dask_validator.filters.shipped import shipped
from dask_validator.model import Status
from dask_validator.rules import seasons
from dask_validator.rules.costs import KNOWN_COSTS, Costs
from dask_validator.rules.sessions import SESSIONS
from tests.documents.pages import ROOT, code, page, rows, section
from tests.recorded import SMALL
from tests.support.parsing import parsed

RULES = page("docs/rules.md")
NUMBERS = {code(row["number"])[0]: row["value"] for row in rows(RULES, "number")}
TABLES = {"filter", "seasons", "gates_only", "costs", "promotion"}  # of the rules file: no flags
NO_RULE = {"wf_output", "instruments", "dry_run", "calibrate", "provenance", *TABLES}
TEXT_FLAGS = {"no_walkforward", "strict_filters"}  # a switch of its own sentence, without a number
CODES = {"walkforward.FIRST_DAY", "walkforward.LAST_DAY"}  # how things are coded


def _default(name: str) -> Any:
    value = getattr(RunConfig(), name)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, ()) else value


def _assigned(module: str) -> dict[str, float]:
    """The numbers that a module of the rules gives a name in capitals."""
    tree = parsed((ROOT / "dask_validator" / "rules" / f"{module}.py").read_text())
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    loaded = importlib.import_module(f"dask_validator.rules.{module}")
    values = {f"{module}.{name}": getattr(loaded, name) for name in names if name.isupper()}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _constants() -> dict[str, float]:
    deciding = ("costs", "fdr", "screening", "seasons", "walkforward", "window_gates", "yearly")
    return {name: value for module in deciding for name, value in _assigned(module).items() if name not in CODES}


def test_every_default_of_a_rule_is_stated() -> None:
    """Each rule flag that has a number stands in a table with the default that the code has."""
    names = {field.name for field in fields(RunConfig)} - NO_RULE - TEXT_FLAGS
    stated = {name: NUMBERS.get(flag(name), "is missing") for name in names}

    assert {name: _number(value) for name, value in stated.items()} == {name: _default(name) for name in names}
    assert all(f"`{flag(name)}`" in RULES for name in TEXT_FLAGS)


def test_every_constant_of_a_rule_is_stated() -> None:
    """Each number in the modules of the rules stands in a table, under its name, with its value; and no other does."""
    stated = {name: _number(value) for name, value in NUMBERS.items() if not name.startswith("--")}

    assert stated == _constants()


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def test_instruments_have_the_costs_of_the_table() -> None:
    """Each known symbol with its six numbers."""
    stated = {row["symbol"]: Costs(*(float(row[name]) for name in Costs._fields)) for row in rows(RULES, "symbol")}

    assert stated == KNOWN_COSTS


_CONDITIONS = {
    "min_size": "size >= {}",
    "max_size": "size < {}",
    "max_delay_min": "break_delay_min <= {}",
    "skip_days": "weekday != {}",
    "require_continues": "break_bar_continues == {}",
    "in_letters_of_any_case": "break_dir == {}",
    "not_known_to_break_twice": "double_break != {}",
}


def _condition(params: Mapping[str, Any]) -> str:
    """What a name is short for, in the words of the tables."""
    if "base" in params:
        return ", ".join(_condition(params[part]) for part in ("base", "overlay"))
    values = {name: value[0] if isinstance(value, list) else value for name, value in params.items()}
    said = {name: "TRUE" if value is True else value for name, value in values.items()}
    return ", ".join(_CONDITIONS[name].format(value) for name, value in said.items())


def _table(column: str) -> dict[str, str]:
    return {code(row[column])[0]: next(reversed(row.values())) for row in rows(RULES, column)}


def test_filters_are_those_of_the_tables() -> None:
    """Each filter name admits the days that its conditions say; no further name is applied."""
    names, plain = shipped("names"), _table("filter")
    ended = {
        name + ending: f"{condition}, {further}"
        for name, condition in plain.items()
        if name.startswith("ORB_G")
        for ending, further in _table("ending").items()
    }

    assert plain | ended == {name: _condition(params) for name, params in names["always"].items()}
    assert names["by_name"] == {"VOL_RV12_N20": {"never": True}}
    strict = {name: _condition(params) for name, params in names["strict"].items()}
    assert _table("filter with `--strict-filters`") == strict
    assert "`NO_FILTER`" in section(RULES, "## 5. Filters and sessions")


def test_sessions_are_those_listed() -> None:
    """Section 5 lists the sessions, section 4 those that have seasons with their zone."""
    listed = section(RULES, "## 5. Filters and sessions").split("**Sessions**", 1)[1]
    zones = {
        label: code(row["seasons are those of"])[0]
        for row in rows(RULES, "sessions")
        for label in code(row["sessions"])
    }

    assert set(code(listed)) >= SESSIONS
    assert zones == SEASON_ZONES


def test_season_verdicts_are_those_of_the_table() -> None:
    """The verdicts of section 4 are the code's, in the order in which the first that holds is taken."""
    source = parsed((ROOT / "dask_validator" / "rules" / "seasons.py").read_text())
    judge = next(node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "_verdict")
    returned = [node for node in ast.walk(judge) if isinstance(node, ast.Return)]
    texts = [
        node.value
        for statement in sorted(returned, key=lambda node: node.lineno)
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert [code(row["verdict"])[0] for row in rows(RULES, "verdict")] == [*texts, seasons.CLEAN.verdict]


def test_statuses_are_those_of_the_table() -> None:
    """Section 1 says when each status is written."""
    assert {code(row["status"])[0] for row in rows(RULES, "status")} == set(Status)


@pytest.fixture(scope="module")
def recorded_line() -> dict[str, Any]:
    """One line of the JSONL, as recorded; `tests/test_golden.py` compares those of today with it."""
    with (SMALL / "expected" / "wf.jsonl").open() as lines:
        loaded: dict[str, Any] = next(line for line in map(json.loads, lines) if line["windows"])
    return loaded


def test_lines_of_the_jsonl_have_the_keys_of_the_table(recorded_line: dict[str, Any]) -> None:
    """Section 3 names every key of a line, of its windows and of its parameters, in their order."""
    table = {tuple(code(row["key"])): code(row["what it is"]) for row in rows(RULES, "key")}

    assert [key for keys in table for key in keys] == list(recorded_line)
    assert table["windows",] == list(recorded_line["windows"][0])
    assert table["params",] == list(recorded_line["params"])
