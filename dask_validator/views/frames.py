"""What a run found as pandas frames with types: dates are dates, counts whole numbers, also where some are missing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.model import SeasonSplit
from dask_validator.rules.counting import STATUSES
from dask_validator.rules.gates import GATES, HELD
from dask_validator.rules.promotion import split_columns
from dask_validator.rules.verdicts import Verdicts
from dask_validator.rules.window_gates import window_columns
from dask_validator.store.present import PARAMETERS
from dask_validator.store.results import numbers, windows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_TOLD = ("windows", "valid_windows")  # gates' numbers that walk-forward's own columns have under another name
_LEFT = (*_TOLD, "row", "keeps_split", "gated")  # of the table of results
_COUNTS = (
    *(gate.name for gate in GATES if gate.whole and gate.name not in _TOLD),
    *("phase", "n_total_windows", "n_valid_windows", "n_positive_windows", "total_oos_trades", "trade_days"),
    *("dst_winter_n", "dst_summer_n", "years_tested"),
    *(name for name, kind in PARAMETERS.items() if kind == "BIGINT"),
)
_DATES = ("first_trade_day", "last_trade_day")
_FLAGS = ("window_imbalanced", "all_years_positive", "significant", "earns")
_TEXTS = ("gate", "regime_waivers", "dst_verdict", *(name for name, kind in PARAMETERS.items() if kind == "VARCHAR"))
_DOUBLES = ("dst_winter_avg_r", "dst_summer_avg_r", "rr_target", "stop_multiplier")


def strategies_frame(verdicts: Verdicts, parameters: Mapping[str, Iterable[Any]]) -> pd.DataFrame:
    """One row per strategy of the run; `parameters` are columns of any strategies, by the names of PARAMETERS."""
    import pandas as pd

    columns = _columns(verdicts, parameters)
    columns |= {name: _whole_numbers(columns[name]) for name in _COUNTS}
    columns |= {name: _dates(columns[name]) for name in _DATES}
    frame = pd.DataFrame(columns)
    kinds = dict.fromkeys(_FLAGS, "boolean") | dict.fromkeys(_DOUBLES, "float64") | dict.fromkeys(_TEXTS, "string")
    return frame.astype(kinds)


def windows_frame(verdicts: Verdicts) -> pd.DataFrame:
    """One row per strategy and test window `[window_start, window_end)`; expectancy in R per trade."""
    import pandas as pd

    found = windows(verdicts)
    row = found.pop("row")
    ids = np.array(verdicts.ids, dtype=object)
    days = {f"window_{name}": _dates(found.pop(name)) for name in ("start", "end")}
    in_sample = found.pop("is_exp_r")
    valid = found["test_n"] >= verdicts.window_trades[row]
    found["test_n"] = found["test_n"].astype(np.int64)
    columns = {"strategy_id": ids[row], **days, **found, "test_pass": valid & (found["test_exp_r"] > 0)}
    return pd.DataFrame(columns | ({"is_exp_r": in_sample} if verdicts.terms.config.wf_in_sample else {}))


def whole(value: Any) -> int | None:
    """A count; None for what is none, as a season split may have that the database stores as a float."""
    holds = value is not None and math.isfinite(value) and value == int(value) and abs(value) < 2**63
    return int(value) if holds else None


def _whole_numbers(values: Iterable[Any]) -> Any:
    import pandas as pd

    return pd.array(list(map(whole, values)), dtype="Int64")


def _dates(days: NDArray[Any]) -> NDArray[np.datetime64]:
    """Days since 1970-01-01; NaN is no day."""
    known = ~np.isnan(days)
    dates = np.full(len(days), "NaT", dtype="datetime64[s]")
    dates[known] = days[known].astype("datetime64[D]")
    return dates


def _columns(verdicts: Verdicts, parameters: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """By name, one value a strategy; None or NaN where there is nothing to say."""
    windowed = verdicts.windowed()
    walked = window_columns([facts for _, facts in windowed], verdicts.window_trades[[i for i, _ in windowed]])
    places = [i for i, _ in windowed]
    return {
        "strategy_id": list(verdicts.ids),
        "verdict": [str(STATUSES[code]) for code in verdicts.status],
        "phase": [None if gate == HELD else GATES[gate].phase for gate in verdicts.gate],
        "gate": [None if gate == HELD else GATES[gate].name for gate in verdicts.gate],
        "note": [verdicts.note(i) for i in range(len(verdicts))],
        **_traded(verdicts.ids, parameters),
        **_observed(verdicts),
        **{name: _spread(column, places, len(verdicts)) for name, column in walked._asdict().items()},
        **_of_seasons(verdicts.splits),
        **_of_passed(verdicts),
    }


def _traded(ids: Sequence[str], parameters: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    place = {strategy_id: i for i, strategy_id in enumerate(parameters.get("strategy_id", ()))}
    found = [place.get(strategy_id) for strategy_id in ids]
    known = {name: list(column) for name, column in parameters.items()}
    return {name: [None if i is None else known[name][i] for i in found] for name in PARAMETERS}


def _observed(verdicts: Verdicts) -> dict[str, Any]:
    """What every gate saw and the p-values, under the names that `dask_validator_results` has for them."""
    found = numbers(verdicts)
    untested = np.isnan(found["p_value"])
    flags = {name: np.ma.masked_array(found[name], untested).tolist() for name in ("significant", "earns")}
    return {name: column for name, column in found.items() if name not in _LEFT} | flags


def _of_seasons(splits: Iterable[SeasonSplit | None]) -> dict[str, list[Any]]:
    found = [split_columns(split) for split in splits]
    return {name: [split[name] for split in found] for name in split_columns(None)}


def _of_passed(verdicts: Verdicts) -> dict[str, list[Any]]:
    standings = [verdicts.standings.get(i) for i in range(len(verdicts))]
    return {
        "years_tested": [standing and standing.years_tested for standing in standings],
        "all_years_positive": [standing and standing.all_years_positive for standing in standings],
        "regime_waivers": [
            json.dumps(standing.regime_waivers) if standing and standing.regime_waivers else None
            for standing in standings
        ],
    }


def _spread(column: Sequence[Any], positions: Sequence[int], size: int) -> list[Any]:
    """A column of some strategies as one of all."""
    found = dict(zip(positions, column, strict=True))
    return [found.get(i) for i in range(size)]
