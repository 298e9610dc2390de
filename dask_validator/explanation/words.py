"""An explanation: what is known of one strategy, in words for a terminal and in tables for a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from dask_validator.config import RunConfig
from dask_validator.model import Discovery, Judged, R, SeasonSplit, Verdict, WindowResult
from dask_validator.rules.gates import GATES, POSITION, Scope
from dask_validator.rules.remedies import Remedy
from dask_validator.wording import luck, sentences
from dask_validator.wording.harmless import escaped, plain

DEFAULT = RunConfig()
_NO_RULES = {"wf_output", "instruments", "dry_run", "calibrate"}  # fields that no verdict depends on


class Explanation(NamedTuple):
    """Why a strategy passed or fell; prints as text, shows as tables in a notebook.

    Attributes
    ----------
    verdict
        What the rules say of the strategy with the flags of `config`.
    stored
        What the database says: status and note; None while the strategy waits.
    source
        Whose flags and windows these are.
    gates
        All that can be applied, also those behind the first that fails.
    windows
        Test windows in time order; expectancy in the unit per trade.
    remedy
        What would have to change for the strategy to pass; empty when it passes.
    unknown_filter
        The filter in whose place walk-forward took every day, if it did.
    canonical_id
        Of an alias the strategy that it stands for, where the database tells.
    earns
        Whether it earns significantly, one-sided; None without a p-value.
    tested
        Strategies of the instrument whose p-values are corrected together; None for an alias.
    luck
        What null worlds say of it, by the names of `dask_validator_results`; empty where the run did not ask them.
    unit
        Of the results of trades.
    """

    strategy_id: str
    instrument: str
    verdict: Verdict
    stored: tuple[str, str | None] | None
    source: str
    config: RunConfig
    gates: tuple[Judged, ...]
    windows: tuple[WindowResult, ...]
    split: SeasonSplit | None
    p_value: float | None
    discovery: Discovery | None
    remedy: Remedy
    unknown_filter: str | None = None
    canonical_id: str | None = None
    earns: bool | None = None
    tested: int | None = None
    luck: Mapping[str, float | None] = {}
    unit: str = R

    @property
    def agrees(self) -> bool:
        """Whether the database says the same; a strategy that waits has nothing to disagree with."""
        return self.stored is None or self.stored == (self.verdict.status, self.verdict.note)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers as they are stored, None for what is not finite."""
        return _as_dict(self)

    def __str__(self) -> str:
        return _as_text(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows where it has no HTML."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return _as_html(self)


class Table(NamedTuple):
    """Cells as text, the first row being the head, and lines below."""

    caption: str
    rows: Sequence[Sequence[str]]
    below: Sequence[str] = ()


def margin(gate: Judged) -> float | None:
    """How far the value is on the good side of the threshold, in the value's unit; None where it is unknown."""
    if gate.observed is None:
        return None
    is_most = GATES[POSITION[gate.name]].comparison == "<="
    return gate.threshold - gate.observed if is_most else gate.observed - gate.threshold


def _as_dict(explanation: Explanation) -> dict[str, Any]:
    verdict, stored, discovery = explanation.verdict, explanation.stored, explanation.discovery
    return {
        "strategy_id": explanation.strategy_id,
        "instrument": explanation.instrument,
        "status": str(verdict.status),
        "phase": verdict.phase,
        "note": verdict.note,
        "stored": None if stored is None else {"status": stored[0], "note": stored[1]},
        "source": explanation.source,
        "flags": _given(explanation.config),
        "unit": explanation.unit,
        "canonical_strategy_id": explanation.canonical_id,
        "unknown_filter": explanation.unknown_filter,
        "gates": [_gate_dict(gate) for gate in explanation.gates],
        "windows": [_finite(window._asdict()) for window in explanation.windows],
        "season_split": None if explanation.split is None else _finite(explanation.split._asdict()),
        "p_value": _finite({"": explanation.p_value})[""],
        "adjusted_p": discovery.adjusted_p if discovery else None,
        "significant": discovery.significant if discovery else None,
        "earns": explanation.earns,
        "tested": explanation.tested,
        "luck": dict(explanation.luck),
        "remedy": explanation.remedy._asdict() | {"flags": explanation.remedy.flags},
    }


def _gate_dict(judged: Judged) -> dict[str, Any]:
    passed = None if _not_judged(judged) else judged.passed
    return _finite({**judged._asdict(), "passed": passed, "margin": margin(judged)})


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _as_text(explanation: Explanation) -> str:
    """For a terminal, without colours."""
    lines = _head(explanation)
    for table in _tables(explanation):
        lines += ["", table.caption, *_aligned(table.rows), *(f"  {line}" for line in table.below)]
    return "\n".join(map(plain, [*lines, "", *_ending(explanation)]))


def _as_html(explanation: Explanation) -> str:
    """For a notebook; everything is escaped."""
    parts = [f"<p>{'<br>'.join(map(escaped, _head(explanation)))}</p>", *map(_html, _tables(explanation))]
    return "".join([*parts, f"<p>{'<br>'.join(map(escaped, _ending(explanation)))}</p>"])


def _html(table: Table) -> str:
    head = "".join(f"<th>{escaped(text)}</th>" for text in table.rows[0])
    rows = ("".join(f"<td>{escaped(text)}</td>" for text in row) for row in table.rows[1:])
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    caption = f"<caption>{escaped(table.caption)}</caption>"
    below = f"<p>{'<br>'.join(map(escaped, table.below))}</p>" if table.below else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _head(explanation: Explanation) -> list[str]:
    verdict, stored = explanation.verdict, explanation.stored
    lines = [
        f"{explanation.strategy_id} of {explanation.instrument}: {verdict.status}",
        f"  {verdict.note}",
        f"  by {explanation.source}{_flags(explanation.config)}",
    ]
    if explanation.canonical_id is not None:
        canonical = f"{explanation.canonical_id}: dask-validator explain says why that one passed or fell"
        lines.append(f"  the same trades are those of {canonical}")
    if explanation.unknown_filter is not None:
        lines.append(f"  {_every_day(explanation)}")
    if stored is None:
        lines.append("  in the database it is still waiting")
    elif not explanation.agrees:
        since = "by other flags or another version, or its data have changed since"
        lines.append(f"  in the database it is {stored[0]} ({stored[1]}): {since}")
    return lines


def _every_day(explanation: Explanation) -> str:
    """How far the trades of the windows are from those of the backtest."""
    tested = sum(window.test_n for window in explanation.windows)
    trades = next((gate.observed for gate in explanation.gates if gate.name == "sample_size"), None)
    return (
        f"filter {explanation.unknown_filter!r} is unknown, walk-forward took every day: "
        f"{tested} trades in the test windows, {_number(trades)} in the backtest"
    )


def _flags(config: RunConfig) -> str:
    flags = Remedy(_given(config), ()).flags
    return f", with {flags}" if flags else ""


def _given(config: RunConfig) -> dict[str, Any]:
    """Rules that are not at their default."""
    given = {name: value for name, value in asdict(config).items() if getattr(config, name) != getattr(DEFAULT, name)}
    return {name: value for name, value in given.items() if name not in _NO_RULES}


def _tables(explanation: Explanation) -> list[Table]:
    tables = []
    if explanation.gates:
        head = ("phase", "gate", "value", "needed", "margin", "")
        further = [
            gate for gate in explanation.gates if not gate.passed and gate.reason not in explanation.verdict.note
        ]
        reasons = [f"phase {gate.phase}: {gate.reason}" for gate in further]
        tables.append(Table("Gates", [head, *(_gate(gate, explanation.unit) for gate in explanation.gates)], reasons))
    if explanation.windows:
        needed = explanation.config.window_trades
        names: tuple[str, ...] = ("window", "trades", f"{explanation.unit} per trade", "win rate", "Sharpe", "")
        trains = explanation.config.wf_in_sample
        rows = [_window(window, needed, trains=trains) for window in explanation.windows]
        names = (*names, "in training") if trains else names
        tables.append(
            Table(f"Test windows; valid with {needed} trades or more; Sharpe ratio per trade", [names, *rows])
        )
    return tables


def _not_judged(judged: Judged) -> bool:
    return judged.unknown and GATES[POSITION[judged.name]].scope is Scope.ROW


def _held(judged: Judged) -> str:
    if _not_judged(judged):
        return "not judged"
    return "holds" if judged.passed else "FAILS"


def _gate(judged: Judged, unit: str) -> tuple[str, ...]:
    gate, far = GATES[POSITION[judged.name]], margin(judged)
    return (
        str(judged.phase),
        gate.title(unit),
        _number(judged.observed),
        f"{gate.comparison} {_number(judged.threshold)}",
        "" if far is None else _number(far, sign="+"),
        _held(judged),
    )


def _window(window: WindowResult, needed: int, *, trains: bool) -> tuple[str, ...]:
    verdict = "positive" if window.test_pass else "not positive"
    return (
        f"{window.window_start} to {window.window_end}",
        str(window.test_n),
        _number(window.test_exp_r, sign="+"),
        _number(window.test_wr),
        _number(sentences.shown_sharpe(window.test_n, window.test_sharpe), sign="+"),
        verdict if window.test_n >= needed else "not valid",
        *([_number(window.is_exp_r, sign="+")] if trains else []),
    )


def _number(value: object, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:{sign}.4f}" if isinstance(value, float) else f"{value:{sign}}"


def _ending(explanation: Explanation) -> list[str]:
    lines = []
    if explanation.split is not None and explanation.split.verdict is not None:
        lines.append(f"Season split: {_split(explanation.split)}")
    if (discovery := explanation.discovery) is not None:
        adjusted = sentences.p_text(discovery.adjusted_p)
        tried = f", one of {explanation.tested:,}" if explanation.tested else ""
        of_both = f"p {sentences.p_text(explanation.p_value)} (two-sided{tried}), after BH {adjusted}"
        verdict = "significant" if discovery.significant else "not significant"
        lines.append(f"{of_both}: {verdict} at 5 %{_way(explanation)}")
    lines += luck.of_strategy(explanation.luck)
    return lines + _remedy(explanation)


def _way(explanation: Explanation) -> str:
    """Of those that are significant on two sides, losers are as many as the others."""
    if explanation.earns is None:
        return ""
    return f", and one-sided it {'earns' if explanation.earns else 'does not earn'} significantly"


def _split(split: SeasonSplit) -> str:
    if split.winter_n is None:
        return str(split.verdict)
    winter, summer = _number(split.winter_avg_r, sign="+"), _number(split.summer_avg_r, sign="+")
    return f"{split.verdict}, winter {split.winter_n} at {winter} R, summer {split.summer_n} at {summer} R"


def _remedy(explanation: Explanation) -> list[str]:
    remedy = explanation.remedy
    if remedy.helps:
        beside = ", and otherwise the flags above" if _flags(explanation.config) else ""
        later = explanation.config.gate and not explanation.verdict.reached_phase_7
        return [f"It would {'reach phase 7' if later else 'pass'} with {remedy.flags}{beside}"]
    if not remedy.lacking:
        return ["It passes: nothing has to change"]
    lines = [
        "No threshold lets it pass, filter and windows being as they are. What would have to change:",
        *(f"  {text}" for text in remedy.lacking),
    ]
    return [*lines, f"  and the flags {remedy.flags}"] if remedy.changes else lines
