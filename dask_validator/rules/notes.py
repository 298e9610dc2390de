"""The words of `validation_notes` beside those of the gates."""

from __future__ import annotations

from collections.abc import Sequence

from dask_validator.model import Strategy

PASSED = "All phases passed"
ALIAS = "Alias (non-canonical)"
EVERY_DAY, NO_DAY = "walk-forward took every day", "walk-forward took no day"


def rejection(phase: int, reason: str, remark: str = "") -> str:
    """The note of a rejected strategy."""
    return f"Phase {phase}: {reason}; {remark}" if remark else f"Phase {phase}: {reason}"


def unknown(filter_type: str, reason: str = "") -> str:
    """Nobody knows which days the filter means."""
    return f"filter {filter_type!r} is unknown ({reason})" if reason else f"filter {filter_type!r} is unknown"


def other_days(filter_type: str, reason: str, taken: str) -> str:
    """The remark on a strategy whose walk-forward may have seen other trades than its backtest: `all`, or `none`."""
    return f"{unknown(filter_type, reason)}, {EVERY_DAY if taken == 'all' else NO_DAY}"


def look_ahead(found: Sequence[str]) -> str:
    """The remark on a strategy whose filter reads what is not known when it enters."""
    return f"look-ahead: {', '.join(found)}" if found else ""


def no_split(reason: str) -> str:
    """The remark on a rejected strategy whose season split cannot be computed."""
    return f"no season split: {reason}"


NO_COSTS_GIVEN = "cost stress: not judged, no costs given"
NO_INSTRUMENT_COSTS = "the costs of its instrument are not known: describe them with --instruments TOML"


def of_log(row: Strategy, *, stressed: bool) -> tuple[str, ...]:
    """What the note on imported trades says whatever becomes of them.

    Parameters
    ----------
    stressed
        Whether they came as far as the stress of their costs.
    """
    unjudged = NO_COSTS_GIVEN if stressed and row.is_trade_log and row.mean_cost is None else None
    return tuple(filter(None, [row.log_remark, unjudged]))


def missing(columns: list[str]) -> str:
    """The note of a strategy that would pass but cannot become a setup."""
    return f"would pass, but cannot be promoted: {', '.join(columns)} is NULL"


def left_out(rows: int, trades: int, kinds: str, costs: int, tested: int) -> str | None:
    """The remark on imported trades that lack some rows, or some costs; None where nothing is lacking.

    Parameters
    ----------
    kinds
        Why rows are left out, and where they are.
    costs
        Of how many of the `tested` wins and losses the cost is known.
    """
    lacking = [f"{rows:,} of {rows + trades:,} rows left out: {kinds}"] if rows else []
    if 0 < costs < tested:
        lacking.append(f"costs of {costs:,} of {tested:,} trades known: their mean stands for the others'")
    return "; ".join(lacking) or None
