"""The words of `validation_notes` and `rejection_reason`, made from gates in one place."""

from __future__ import annotations

from dask_validator.model import Gate, Verdict

PASSED = "All phases passed"
ALIAS = "Alias (non-canonical)"

_REASONS = {
    "sample_size": "sample size {observed} < {threshold}",
    "expectancy_r": "expectancy {observed} R, needed > 0",
    "yearly_data": "{detail}",
    "years_positive": "{detail} ({observed:.0%}, needed {threshold:.0%})",
    "negative_years": "{observed} negative year(s) that cannot be waived: {detail}",
    "positive_years": "no positive year, all were waived",
    "stressed_expectancy_r": "expectancy after stressed costs {observed:.4f} R, needed > 0",
    "sharpe_ratio": "Sharpe ratio per trade {observed}, needed >= {threshold}",
    "max_drawdown_r": "drawdown {observed} R, needed <= {threshold}",
    "outcomes": "No outcomes found",
    "windows": "no test window: all {detail} outcomes lie in the training period",
    "valid_windows": "valid windows {observed} < {threshold}",
    "pct_positive": "positive windows {observed:.1%}, needed {threshold:.1%}",
    "agg_oos_exp_r": "expectancy in the test windows {observed:.4f} R, needed > 0",
    "total_oos_trades": "trades in the test windows {observed} < {threshold}",
}


def reason(gate: Gate) -> str:
    """Why a gate did not hold, naming the rule."""
    return _REASONS[gate.name].format_map(gate._asdict())


def note(verdict: Verdict) -> str:
    """What `validation_notes` says; a rejection starts with `Phase N:`."""
    if verdict.gate is None:
        return verdict.remark
    rejection = f"Phase {verdict.gate.phase}: {reason(verdict.gate)}"
    return f"{rejection}; {verdict.remark}" if verdict.remark else rejection


def every_day(filter_type: str) -> str:
    """The remark on a strategy whose walk-forward may have seen other trades than its backtest."""
    return f"filter {filter_type!r} is unknown, walk-forward took every day"


def no_split(reason: str) -> str:
    """The remark on a rejected strategy whose season split cannot be computed."""
    return f"no season split: {reason}"


def missing(columns: list[str]) -> str:
    """The note of a strategy that would pass but cannot become a setup."""
    return f"would pass, but cannot be promoted: {', '.join(columns)} is NULL"
