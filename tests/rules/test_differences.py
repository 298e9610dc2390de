"""Two judgements by hand: which gate decided, and what of number and threshold turned the verdict."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from dask_validator.config import OF_SMALL_SAMPLES, RunConfig
from dask_validator.model import Status
from dask_validator.rules.counting import CODE
from dask_validator.rules.differences import KINDS, SAME, Cause, Side, differences, facts_of, matched
from dask_validator.rules.gates import GATES, HELD, POSITION, Terms
from dask_validator.rules.judging import first_failing

ALL = range(len(GATES))
GOOD = {"sample_size": 50, "expectancy_r": 0.5, "yearly_data": 3, "negative_years": 0, "positive_years": 3}
GOOD |= {"stressed_expectancy_r": 0.4, "outcomes": 90, "windows": 4, "valid_windows": 4, "pct_positive": 0.75}
GOOD |= {"agg_oos_exp_r": 0.2, "total_oos_trades": 80}


def side(numbers: dict[str, float] | None = None, *, row: int = 1, outcomes: int = 1, **flags: Any) -> Side:
    """One strategy, judged by the register of gates."""
    terms = Terms(RunConfig(**flags), waives=True)
    observed = np.full((1, len(GATES)), np.nan)
    for name, number in {**GOOD, **(numbers or {})}.items():
        observed[0, POSITION[name]] = number
    gate = first_failing(observed, terms, ALL)
    status = np.where(gate == HELD, CODE[Status.PASSED], CODE[Status.REJECTED]).astype(np.int8)
    hashes = (np.array([each], dtype=np.uint64) for each in (row, outcomes))
    return Side(
        terms, np.array(["A"], dtype=object), status, gate, observed, np.array([0.01]), *hashes, np.array([True])
    )


def said(before: Side, after: Side) -> tuple[str | None, str | None, set[str]]:
    """Kind, deciding gate, causes."""
    found = differences(before, after)
    kind, position = int(found.kind[0]), int(found.decisive[0])
    causes = {str(each.name) for each in Cause(int(found.cause[0]))}
    return None if kind == SAME else str(KINDS[kind]), None if position == HELD else GATES[position].name, causes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (side({"sample_size": 50}), side({"sample_size": 50}, min_sample=60), {"THRESHOLD"}),
        (side({"sample_size": 50}), side({"sample_size": 20}, row=2), {"NUMBERS"}),
        # Either would have been enough.
        (side({"sample_size": 50}), side({"sample_size": 20}, row=2, min_sample=60), {"THRESHOLD", "NUMBERS"}),
        # Neither would have been.
        (side({"sample_size": 50}), side({"sample_size": 40}, row=2, min_sample=45), {"THRESHOLD", "NUMBERS"}),
        # The number has moved, and away from the threshold.
        (side({"sample_size": 50}), side({"sample_size": 55}, row=2, min_sample=60), {"THRESHOLD"}),
        # The threshold has moved, and away from the number.
        (side({"sample_size": 50}), side({"sample_size": 20}, row=2, min_sample=25), {"NUMBERS"}),
    ],
    ids=["threshold", "number", "either", "both", "number that helps", "threshold that helps"],
)
def test_what_would_have_turned_the_verdict(before: Side, after: Side, expected: set[str]) -> None:
    """Alone, in the place of the other one; in both directions of time."""
    assert said(before, after) == ("lost", "sample_size", expected)
    assert said(after, before) == ("gained", "sample_size", expected)


def test_of_two_gates_the_first_decided() -> None:
    """What fell in phase 6 and falls in phase 1 now, fell by phase 1; and back again."""
    late, early = side({"valid_windows": 2}), side({"valid_windows": 2}, min_sample=60)

    assert said(late, early) == ("moved", "sample_size", {"THRESHOLD"})
    assert said(early, late) == ("moved", "sample_size", {"THRESHOLD"})
    few = side({"valid_windows": 2, "pct_positive": 0.1})
    assert said(side({"pct_positive": 0.1}), few) == ("shifted", "valid_windows", {"UNKNOWN"})


@pytest.mark.parametrize(
    ("after", "gate", "expected"),
    [
        ({"numbers": {"valid_windows": 2}, "outcomes": 2}, "valid_windows", {"OUTCOMES"}),
        ({"numbers": {"valid_windows": 2}, "row": 2}, "valid_windows", {"ROW"}),
        ({"numbers": {"valid_windows": 2}, "row": 2, "outcomes": 2}, "valid_windows", {"ROW", "OUTCOMES"}),
        ({"numbers": {"valid_windows": 2}, "wf_test_months": 3}, "valid_windows", {"RULES"}),
        ({"numbers": {"valid_windows": 2}, "min_sample": 20}, "valid_windows", {"UNKNOWN"}),
        ({"numbers": {"negative_years": 1}, "outcomes": 2}, "negative_years", {"UNKNOWN"}),
        ({"numbers": {"stressed_expectancy_r": -0.1}, "stress_multiplier": 3}, "stressed_expectancy_r", {"THRESHOLD"}),
        ({"numbers": {"sharpe_ratio": 0.1}, "min_sharpe": 0.2}, "sharpe_ratio", {"THRESHOLD"}),
        ({"numbers": {"fdr_p": 0.2}, "gate": ("fdr",)}, "fdr_p", {"THRESHOLD"}),
    ],
)
def test_numbers_follow_from_what_differs(after: dict[str, Any], gate: str, expected: set[str]) -> None:
    """Of all that a gate's number follows from; what it does not follow from is no cause of it."""
    assert said(side(), side(**after)) == ("lost", gate, expected)


def test_the_chance_gate() -> None:
    """With its own numbers as before, the correction has moved; with another p, its own number has."""
    before, after = (side({"fdr_p": p}, gate=("fdr",)) for p in (0.04, 0.06))
    assert said(before, after) == ("lost", "fdr_p", {"OTHERS"})

    assert said(before, after._replace(p_value=np.array([0.02]))) == ("lost", "fdr_p", {"NUMBERS"})
    # Whatever else its row says: the correction reads p alone.
    assert said(before, after._replace(rows=np.array([2], dtype=np.uint64))) == ("lost", "fdr_p", {"OTHERS"})


def test_hashes_of_two_versions_say_nothing() -> None:
    """Another version of DuckDB hashes the same rows otherwise."""
    after = side({"sample_size": 20}, row=2, outcomes=2)._replace(hashed_by="another")

    assert said(side(), after) == ("lost", "sample_size", {"UNKNOWN"})


def test_without_a_gate_all_that_differs_is_said() -> None:
    """An alias is skipped, whatever its gates would say."""
    skipped = side(row=2)._replace(status=np.array([CODE[Status.SKIPPED]], dtype=np.int8))

    assert said(side(), skipped) == ("lost", None, {"ROW"})


def test_settings_of_small_samples_are_those_that_decide() -> None:
    """A small sample has thresholds of its own: flags of the others are no cause."""
    flags = {"small_sample": 100, "small_wf_min_windows": 2}
    before = side({"valid_windows": 3}, **flags)

    assert said(before, side({"valid_windows": 3}, **flags | {"wf_min_windows": 9})) == (None, None, set())
    after = side({"valid_windows": 3}, **flags | {"small_wf_min_windows": 4})
    assert said(before, after) == ("lost", "valid_windows", {"THRESHOLD"})


def test_numbers_that_differ_without_a_verdict() -> None:
    """They are counted; those of gates over all strategies are not its own."""
    other = differences(side(), side({"valid_windows": 5})).numbers
    of_others = differences(side({"fdr_p": 0.1}), side({"fdr_p": 0.2})).numbers

    assert (other.tolist(), of_others.tolist()) == ([True], [False])


def test_strategies_are_matched_by_their_ids() -> None:
    """In any number, whoever else is there; those of one judgement alone are told."""
    one = side().of(np.array([0, 0, 0]))._replace(ids=np.array(["A", "B", "D"], dtype=object))
    two = side().of(np.array([0, 0]))._replace(ids=np.array(["B", "C"], dtype=object))
    found = matched(one, two)

    assert [part.ids.tolist() for part in found] == [["B"], ["B"], ["A", "D"], ["C"]]
    assert [part.ids.tolist() for part in matched(one, one)] == [["A", "B", "D"], ["A", "B", "D"], [], []]


OF_WORLDS = {"gate", "gate_share", "worlds", "block_days", "null_seed"}
OF_SETUPS = {"promotion", "provenance", "years_counted"}
OF_NO_VERDICT = {"wf_output", "dry_run", "calibrate", "touch_entry_models"}
AS_COSTS = {"instruments", "costs"}


def test_every_flag_has_a_place() -> None:
    """A flag is a gate's own, or a gate's number follows from it, or it is named above: a new one must choose."""
    placed = OF_WORLDS | OF_SETUPS | OF_NO_VERDICT | AS_COSTS
    for gate in GATES:
        if gate.name not in ("luck_bound", "stepm_p"):  # which everything has a part in
            placed |= {*gate.flags, *facts_of(gate)} | {OF_SMALL_SAMPLES.get(name, "") for name in gate.flags}

    assert {field.name for field in fields(RunConfig)} - placed == set()
