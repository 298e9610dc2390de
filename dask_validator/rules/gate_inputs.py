"""What the number that a gate looks at follows from: flags, outcomes, years, costs."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import fields

from dask_validator.config import RunConfig
from dask_validator.rules.gates import OF_HOLDOUT, OF_WINDOWS, POSITION, Gate, Scope

# Fields of RunConfig that no verdict depends on, or that are compared as the costs that they come to.
NO_VERDICT = {"wf_output", "dry_run", "calibrate", "provenance", "years_counted", "touch_entry_models"}
AS_COSTS = {"instruments", "costs"}

GATED = {9, 10}  # phases that some strategies are spared, by columns that no hash is made of
READS_ALL = {"filters", "filter"}  # by which fingerprints of features are of these columns or of others
_OF_DAYS = {"filters", "unknown_filters", "strict_filters", "filter", "seasons"}
_OF_YEARS = {"exclude_years", "min_trades_per_year", "small_min_trades_per_year", "no_regime_waivers", "waived_years"}
_OF_YEARS |= {"small_sample"}
_ONLY_NEEDED = {"wf_min_windows", "wf_min_pct_positive", "small_wf_min_windows"}  # thresholds, of which no fact follows
_OF_WFE = {field.name for field in fields(RunConfig) if field.name.startswith(("wf_", "small_wf_"))} - NO_VERDICT
_OF_WFE = (_OF_WFE | {"no_walkforward", "small_sample"} | _OF_DAYS) - _ONLY_NEEDED
_OF_WINDOWS = _OF_WFE - {"wf_in_sample", "wf_in_sample_min"}
_OF_HOLDOUT = {"holdout_from", "holdout_min_trades", "holdout_few", "gates_only", *_OF_DAYS}
_OF_FAMILY = {"fdr_method", "fdr_sides", "fdr_instruments", "fdr_group_by", "fdr_k_file"}
EVERYTHING = {field.name for field in fields(RunConfig)} - NO_VERDICT - AS_COSTS


def facts_of(gate: Gate) -> Set[str]:
    """Fields of RunConfig that what the gate looks at follows from."""
    by_name: dict[str, Set[str]] = {
        "era_exp_r": {"era_starts", "era_min_trades", "wf_first_day", "gates_only"},
        "stressed_expectancy_r": {"stress_multiplier"},
        "fdr_p": _OF_FAMILY,
        "wfe": _OF_WFE,
        **dict.fromkeys(("luck_bound", "stepm_p"), EVERYTHING),  # which are promoted in worlds
    }
    if gate.phase == 3:
        return _OF_YEARS
    if gate.phase == 9:
        return _OF_HOLDOUT
    return _OF_WINDOWS if gate.scope is Scope.WINDOWS else by_name.get(gate.name, set())


def reads_outcomes(gate: Gate | None) -> bool:
    """None, here and below: whatever is said follows from them."""
    of_days = {*OF_HOLDOUT, *OF_WINDOWS, *(POSITION[name] for name in ("wfe", "luck_bound", "stepm_p"))}
    return gate is None or POSITION[gate.name] in of_days


def reads_years(gate: Gate | None) -> bool:
    """Volatility says which losing years are waived."""
    return gate is None or gate.phase == 3


def reads_costs(gate: Gate | None) -> bool:
    """Costs are in conditions of filters and in tight stops too."""
    return gate is None or gate.name == "stressed_expectancy_r" or reads_outcomes(gate)
