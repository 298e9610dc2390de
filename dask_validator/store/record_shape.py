"""The shape of what a run leaves in `dask_validator_runs`: whoever can write to the database can put any JSON there.

A shape is a set of types, a list with the shape of each member, or a dict with the shape of each name. `...` stands for
any name and, among types, for any number, where else none is negative or infinite. Names without a shape may be there:
other versions have them.
"""

from __future__ import annotations

from datetime import date
from types import NoneType
from typing import Any

from dask_validator.model import TaskTiming, WindowResult
from dask_validator.rules.costs import Costs

LARGEST = 2**63
DAYS = {"window_start", "window_end"}
USED = {"strict_filters", "wf_min_trades", "wf_min_pct_positive"}  # of the parameters, though others may not be known
LATER = {
    "calibration",
    "stages",
    "unit",
    "warnings",
    "selection",
    "cost_stress_not_judged",
    "start_up_s",
    "cores",
    "costs",
    "passed_on_unknown_filters",
    "earning",
    "losing",
    "passed_earning",
    *(str(phase) for phase in range(7, 11)),
    "is_exp_r",
    *USED,
}

TEXT, FLAG, WHOLE, NUMBER, NOTHING = {str}, {bool}, {int}, {int, float}, {NoneType}
R = {int, float, NoneType, ...}
_OF = {"str": TEXT, "bool": FLAG, "int": WHOLE, "float": NUMBER, "float | None": R}
TEXTS = {...: TEXT}
PARAMETERS = {"strict_filters": FLAG, "wf_min_trades": WHOLE, "wf_min_pct_positive": NUMBER}
TIMINGS = [{name: _OF[declared.__forward_arg__] for name, declared in TaskTiming.__annotations__.items()}]
CALIBRATION = {
    "settings": {...: {str, bool, int, float, list, NoneType, ...}},
    **dict.fromkeys(("worlds", "strategies", "not_calibrated", "promoted", "promoted_not_calibrated", "losing"), WHOLE),
    **dict.fromkeys(("block_days", "null_mean", "null_q05", "null_q50", "null_q95", "null_sd", "p_value"), NUMBER),
    **dict.fromkeys(("false_share", "false_share_low", "false_share_high"), NUMBER | NOTHING),
    "upper_bound": FLAG,
    "last_day": TEXT,
}
SUMMARY = {
    **dict.fromkeys(("run_id", "instrument", "db"), TEXT),
    **dict.fromkeys(("dry_run", "committed"), FLAG),
    **dict.fromkeys(("rows", "passed", "rejected", "skipped", "failed", "retired"), WHOLE),
    "total_s": NUMBER,
    "rejected_by_phase": dict.fromkeys(map(str, range(1, 11)), WHOLE),
    "fdr": dict.fromkeys(("tested", "significant", "passed_significant", "earning", "losing", "passed_earning"), WHOLE),
    "calibration": [CALIBRATION],
    "stages": {...: NUMBER},
    "unit": TEXT,
    "cost_stress_not_judged": WHOLE,
    "start_up_s": NUMBER | NOTHING,
    "cores": WHOLE | NOTHING,
    "costs": dict.fromkeys(Costs._fields, NUMBER),
    "warnings": [TEXT],
    "selection": TEXT,
}
WALKFORWARD = {
    **dict.fromkeys(("strategies", "passed", "workers", "tasks", "reused", "passed_on_unknown_filters"), WHOLE),
    **dict.fromkeys(("wall_s", "sum_s", "cpu_s", "speedup", "cpu_speedup"), NUMBER),
}
LINE = {
    **dict.fromkeys(("strategy_id", "instrument", "timestamp"), TEXT),
    **dict.fromkeys(("n_total_windows", "n_valid_windows", "n_positive_windows", "total_oos_trades"), WHOLE),
    **dict.fromkeys(("pct_positive", "agg_oos_exp_r", "window_imbalance_ratio"), R),
    "passed": FLAG,
    "rejection_reason": TEXT | NOTHING,
    "windows": [{name: _OF[declared.__forward_arg__] for name, declared in WindowResult.__annotations__.items()}],
    "window_imbalanced": FLAG | NOTHING,
}


def check_summary(summary: Any) -> None:
    """Raise ValueError unless it is the summary of a run."""
    check(summary, SUMMARY)
    if summary["walkforward"] is not None:
        check(summary["walkforward"], WALKFORWARD)


def check_line(line: Any) -> None:
    """Raise ValueError unless it is a line of the JSONL."""
    check(line, LINE)
    if line["n_valid_windows"] and None in (line["pct_positive"], line["agg_oos_exp_r"]):
        raise ValueError("valid windows without numbers")
    for window in line["windows"]:
        for name in DAYS:
            date.fromisoformat(window[name])


def check(value: Any, shape: Any) -> None:
    """Raise ValueError for a value of another shape."""
    if isinstance(shape, set):
        if type(value) not in shape or (isinstance(value, int | float) and _is_odd(value, anything=... in shape)):
            raise ValueError(f"it has {value!r:.40}")
    elif isinstance(shape, list):
        check(value, {list})
        for member in value:
            check(member, shape[0])
    else:
        check(value, {dict})
        for name in value if ... in shape else shape:
            if name in value:
                check(value[name], shape.get(name) or shape[...])
            elif name not in LATER:
                raise ValueError(f"it lacks {name}")


def _is_odd(number: float, *, anything: bool) -> bool:
    """Whether it is too large to go anywhere, or negative or none where that makes no sense."""
    if anything and isinstance(number, float):
        return False
    return not (-LARGEST if anything else 0) <= number < LARGEST
