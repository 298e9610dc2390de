"""Two judgements by hand: which gate decided, and what of number and threshold turned the verdict."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from typing import Any

import numpy as np
import pytest

from dask_validator.config import OF_SMALL_SAMPLES, RunConfig
from dask_validator.explanation.changes import changes, flag_change
from dask_validator.model import Status
from dask_validator.rules.counting import CODE
from dask_validator.rules.differences import KINDS, SAME, Cause, Side, differences, matched
from dask_validator.rules.gate_inputs import facts_of
from dask_validator.rules.gates import GATES, HELD, OF_WINDOWS, POSITION, Terms
from dask_validator.rules.judging import first_failing

ALL = range(len(GATES))
GOOD = {"sample_size": 50, "expectancy_r": 0.5, "yearly_data": 3, "negative_years": 0, "positive_years": 3}
GOOD |= {"stressed_expectancy_r": 0.4, "outcomes": 90, "windows": 4, "valid_windows": 4, "pct_positive": 0.75}
GOOD |= {"agg_oos_exp_r": 0.2, "total_oos_trades": 80}


def side(numbers: dict[str, float] | None = None, *, row: int = 1, outcomes: int = 1, **flags: Any) -> Side:
    """One strategy, judged by the register of gates."""
    terms = Terms(config := RunConfig(**flags), waives=not config.no_regime_waivers)
    observed = np.full((1, len(GATES)), np.nan)
    for name, number in {**GOOD, **(numbers or {})}.items():
        observed[0, POSITION[name]] = number
    gate = first_failing(observed, terms, [i for i in ALL if not (config.no_walkforward and i in OF_WINDOWS)])
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


FDR, HELD_OUT, ERAS = {"gate": ("fdr",)}, {"holdout_from": date(2024, 1, 1)}, {"era_starts": (2020, 2022)}
IN_SAMPLE, SMALL = {"wf_in_sample": True, "min_wfe": 0.5}, {"small_sample": 100}
NO_WAIVERS = {"no_regime_waivers": True}
ONLY_NAMED = {"not_null": "p_value", "created_after": "2026-01-01T00:00:00+00:00"}
# By flag: those that stay, its value after, the gate that decides, and what that sees before and after.
ALONE: dict[str, tuple[dict[str, Any], Any, str, float, float]] = {
    "min_sample": ({}, 60, "sample_size", 50, 50),
    "stress_multiplier": ({}, 3.0, "stressed_expectancy_r", 0.1, -0.1),
    "min_sharpe": ({}, 0.2, "sharpe_ratio", 0.1, 0.1),
    "max_drawdown": ({}, 9.0, "max_drawdown_r", 10, 10),
    "min_win_rate": ({}, 0.5, "win_rate", 0.4, 0.4),
    "exclude_years": ({}, (2020,), "negative_years", 1, 0),
    "min_years_positive_pct": (NO_WAIVERS, 0.5, "years_positive", 0.6, 0.6),
    "min_trades_per_year": ({}, 30, "yearly_data", 3, 0),
    "no_regime_waivers": ({}, True, "years_positive", 0.6, 0.6),
    "waived_years": ({"min_years_positive_pct": 0.6}, "positive", "years_held", 0.5, 0.5),
    "no_walkforward": ({}, True, "pct_positive", 0.5, np.nan),
    "wf_test_months": ({}, 3, "pct_positive", 0.75, 0.5),
    "wf_min_train_months": ({}, 24, "pct_positive", 0.75, 0.5),
    "wf_min_trades": ({}, 30, "total_oos_trades", 80, 80),
    "wf_min_windows": ({}, 5, "valid_windows", 4, 4),
    "wf_min_pct_positive": ({}, 0.8, "pct_positive", 0.75, 0.75),
    "wf_first_day": (ERAS, date(2021, 1, 1), "era_exp_r", 0.1, -0.5),
    "wf_last_day": ({}, date(2023, 1, 1), "valid_windows", 4, 2),
    "wf_window_trades": ({}, 40, "total_oos_trades", 80, 80),
    "wf_train_trades": ({"wf_window_trades": 20}, 40, "pct_positive", 0.75, 0.5),
    "wf_in_sample_min": (IN_SAMPLE, 30, "wfe", 0.6, 0.4),
    "min_wfe": ({"wf_in_sample": True}, 0.7, "wfe", 0.6, 0.6),
    "small_sample": ({"small_wf_min_windows": 5}, 100, "valid_windows", 4, 4),
    "small_min_trades_per_year": (SMALL, 30, "yearly_data", 3, 0),
    "small_wf_min_trades": (SMALL, 30, "total_oos_trades", 80, 80),
    "small_wf_min_windows": (SMALL, 5, "valid_windows", 4, 4),
    "small_wf_window_trades": (SMALL, 40, "total_oos_trades", 80, 80),
    "small_wf_train_trades": ({**SMALL, "small_wf_window_trades": 20}, 40, "pct_positive", 0.75, 0.5),
    "filters": ({}, "params", "outcomes", 90, 0),
    "unknown_filters": ({}, "none", "outcomes", 90, 0),
    "strict_filters": ({}, True, "outcomes", 90, 0),
    "filter": ({}, ({"name": "SUM", "when": "orb_{L}_size + 1"},), "outcomes", 90, 0),
    "seasons": ({}, {"0900": "Europe/London"}, "outcomes", 90, 0),
    "era_starts": ({}, (2020, 2022), "era_exp_r", np.nan, -0.5),
    "era_min_trades": (ERAS, 10, "era_exp_r", 0.1, -0.5),
    "era_min_exp": (ERAS, 0.2, "era_exp_r", 0.1, 0.1),
    "holdout_from": ({}, date(2024, 1, 1), "holdout_exp_r", np.nan, -0.1),
    "holdout_min_trades": (HELD_OUT, 40, "holdout_trades", 35, 35),
    "holdout_few": ({**HELD_OUT, "holdout_few": "pass"}, "reject", "holdout_trades", 20, 20),
    "holdout_min_exp": (HELD_OUT, 0.2, "holdout_exp_r", 0.1, 0.1),
    "holdout_min_ratio": (HELD_OUT, 0.5, "holdout_ratio", 0.4, 0.4),
    "gates_only": (ERAS, ONLY_NAMED, "era_exp_r", -0.5, np.nan),
    "gate": ({}, ("fdr",), "fdr_p", 0.06, 0.06),
    "gate_alpha": (FDR, 0.01, "fdr_p", 0.04, 0.04),
    "gate_share": ({"gate": ("luck",)}, 0.01, "luck_bound", 0.05, 0.05),
    "fdr_method": (FDR, "by", "fdr_p", 0.04, 0.06),
    "fdr_sides": (FDR, 2, "fdr_p", 0.04, 0.06),
    "fdr_instruments": (FDR, ("MGC", "MNQ"), "fdr_p", 0.04, 0.06),
    "fdr_group_by": (FDR, ("orb_label",), "fdr_p", 0.04, 0.06),
    "fdr_k_file": (FDR, "k.json", "fdr_p", 0.04, 0.06),
    "min_sharpe_ann": (FDR, 2.0, "sharpe_ann", 1.0, 1.0),
    "worlds": ({"gate": ("luck",)}, 500, "luck_bound", 0.09, 0.11),
    "block_days": ({"gate": ("luck",)}, 9.0, "luck_bound", 0.09, 0.11),
    "null_seed": ({"gate": ("luck",)}, 1, "luck_bound", 0.09, 0.11),
}


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("turned", [False, True], ids=["forwards", "backwards"])
def test_one_flag_alone_is_the_cause_that_is_said(name: str, *, turned: bool) -> None:
    """And nothing else, in both directions of time: the data are the same."""
    flags, value, gate, seen, sees = ALONE[name]
    rest = {"fdr_p": 0.01} if "gate" in flags | {name: value} and gate != "fdr_p" else {}
    before, after = side({**rest, gate: seen}, **flags), side({**rest, gate: sees}, **flags | {name: value})
    pair = (after, before) if turned else (before, after)
    pair = tuple(each._replace(features="as they were") for each in pair)
    [change] = changes(differences(*pair))

    assert (change.gate, change.causes in (("threshold",), ("rules",))) == (gate, True), change
    values = [getattr(each.terms.config, name) for each in pair]
    assert change.why == flag_change(name, (values[0], values[1]))


def test_every_flag_that_decides_is_tried_alone() -> None:
    """A new one must be; without `wf_in_sample` nobody may ask for the gate that needs it."""
    others = OF_SETUPS | OF_NO_VERDICT | AS_COSTS | {"wf_in_sample"}
    assert {field.name for field in fields(RunConfig)} - {*ALONE} == others


def test_thresholds_that_no_flag_has_moved() -> None:
    """Volatility that is known now waives years; more trades are no small sample: other data, and said as such."""
    before = side({"years_positive": 0.6, "negative_years": 0})
    known = before.terms._replace(waives=False)
    few, many = (side({"sample_size": n}, row=n, small_sample=100, small_wf_min_windows=5) for n in (50, 200))

    unwaived = side({"years_positive": 0.6}, no_regime_waivers=True)
    unwaived = unwaived._replace(terms=known, features="other")
    assert said(before._replace(features="one"), unwaived) == ("lost", "years_positive", {"FEATURES"})
    assert said(few, many) == ("gained", "valid_windows", {"ROW"})


@pytest.mark.parametrize("features", ["other", None], ids=["other", "unknown"])
def test_a_flag_that_waives_nothing_is_the_cause_whatever_became_of_volatility(features: str | None) -> None:
    """Where losing years may no longer be waived because somebody has said so, volatility has not decided that."""
    before = side({"years_positive": 0.6})._replace(features="one")
    after = side({"years_positive": 0.6}, no_regime_waivers=True)._replace(features=features)

    assert said(before, after) == ("lost", "years_positive", {"THRESHOLD"})
