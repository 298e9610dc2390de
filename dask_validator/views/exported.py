"""What is handed on of a run: one table, a row for each strategy, test window or trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dask_validator.errors import InputError
from dask_validator.run.taken import Known, taken, told
from dask_validator.store.present import PARAMETERS

if TYPE_CHECKING:
    import pandas as pd

    from dask_validator.views.result import RunResult

WHAT = ("promoted", "verdicts", "windows", "trades")
DAYS = ("first_trade_day", "last_trade_day", "window_start", "window_end", "trading_day")
# Of the strategy, in each row of a window or trade; the conditions of a filter would be most of the file.
_OF_STRATEGY = [*(name for name in PARAMETERS if name != "filter_params"), "p_value", "adjusted_p"]


class Exported(NamedTuple):
    """One table.

    Attributes
    ----------
    frame
        By `strategy_id`, then by day.
    lacking
        Why there are no trades, by strategy.
    warnings
        Sentences to be read with it.
    """

    frame: pd.DataFrame
    lacking: Mapping[str, str]
    warnings: Sequence[str] = ()


def exported(result: RunResult, what: str) -> Exported:
    """The table of that name. Raises InputError."""
    if what == "promoted":
        return Exported(result.promoted, {})
    if what == "verdicts":
        return Exported(result.strategies, {})
    if what == "windows":
        return Exported(_described(result, result.windows), {})
    if what == "trades":
        return _trades(result)
    raise InputError(f"what got {what!r}; needed one of {', '.join(WHAT)}")


def _described(result: RunResult, rows: pd.DataFrame) -> pd.DataFrame:
    """With what the strategy trades, and its p-values."""
    own = ["strategy_id", *(name for name in _OF_STRATEGY if name not in rows.columns)]
    described: pd.DataFrame = result.strategies[own].merge(rows, on="strategy_id")
    return described


def _trades(result: RunResult) -> Exported:
    """Of those that were promoted."""
    import pandas as pd

    from dask_validator.views.promoted import trades_frame

    order, run_id = result.order, result.summary["run_id"]
    if order is None or not result.summary["committed"]:
        raise InputError("this result is of no committed run; use that of load_run()")
    frames: dict[str, pd.DataFrame] = {}
    lacking: dict[str, str] = {}
    with order.database.kept_open():
        for strategy_id, trades in taken(order, Known.of(order, result.verdicts, result.verdicts.standings, run_id)):
            if isinstance(trades, str):
                lacking[strategy_id] = trades
            else:
                frame = trades_frame(trades, told(order, strategy_id, trades))
                frames[strategy_id] = frame.assign(strategy_id=strategy_id)
    if not frames:
        raise InputError(f"run {run_id} has no promoted strategy with trades to export")
    rows = pd.concat([frames[strategy_id] for strategy_id in sorted(frames)], ignore_index=True)
    return Exported(_described(result, rows), lacking)
