"""What `check` finds in the strategies that a run would validate: sessions, filters and stops, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import duckdb
import numpy as np

from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.filters.conditions import Condition, Filter, conditions
from dask_validator.filters.look_ahead import look_ahead
from dask_validator.model import TRADE_LOG, Session
from dask_validator.rules.promotion import mode_column
from dask_validator.rules.sessions import SESSIONS
from dask_validator.store.filter_days import Looked, Reading, look
from dask_validator.store.gated import read_ungated
from dask_validator.store.kinds import quoted
from dask_validator.store.selection import Selection
from dask_validator.wording.sentences import unset_defaults


class _Asked(NamedTuple):
    """Of which strategies, by which rules."""

    connection: duckdb.DuckDBPyConnection
    instrument: str
    selection: Selection
    config: RunConfig
    reading: Reading

    @property
    def strategies(self) -> str:
        """What they are called."""
        return self.selection.strategies

    def rows(self, columns: str, also: str = "", ending: str = "") -> list[tuple[Any, ...]]:
        """Columns of their rows, in SQL."""
        chosen = self.selection.where(also)
        query = f"SELECT {columns} FROM experimental_strategies WHERE {chosen.condition} {ending}"
        return self.connection.execute(query, chosen.parameters(self.instrument)).fetchall()


class _Used(NamedTuple):
    """Strategies that filters make no difference between."""

    label: str | None
    minutes: int | None
    entry_model: str | None
    filter_type: str | None
    filter_params: str | None
    strategies: int


def findings(
    connection: duckdb.DuckDBPyConnection, instrument: str, selection: Selection, config: RunConfig, reading: Reading
) -> list[str]:
    """Sentences, none of which is an error. Raises InputError for a filter of the rules that is not allowed."""
    asked = _Asked(connection, instrument, selection, config, reading)
    rows = asked.rows(
        "orb_label, orb_minutes, entry_model, filter_type, filter_params, count(*)",
        f"entry_model IS DISTINCT FROM '{TRADE_LOG}'",
        "GROUP BY ALL ORDER BY ALL",
    )
    used = [_Used._make(row) for row in rows]
    return [
        *_about_sessions(asked, used),
        *_about_filters(asked, used),
        *_about_stops(asked),
        *_about_modes(asked),
        *_about_gates(asked),
        *unset_defaults(reading.catalogue.unset_defaults()),
        *_about_days(asked, used),
    ]


def _about_sessions(asked: _Asked, used: list[_Used]) -> Iterator[str]:
    there = asked.reading.catalogue.sessions
    unknown = Counter[str]()
    for each in used:
        unknown[repr(each.label)] += each.strategies if each.label not in SESSIONS | there else 0
    for label, count in unknown.items():
        if count:
            yield f"unknown session {label}: {count:,} {asked.strategies}"
    if idle := sorted(there - {each.label for each in used}):
        yield f"sessions with columns but no {asked.strategies}: {', '.join(idle)}"


def _about_filters(asked: _Asked, used: list[_Used]) -> Iterator[str]:
    unknown, early = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    sessions: dict[tuple[str, str], set[str]] = {}
    known = asked.reading.vocabulary
    for each in used:
        if each.filter_type is None:
            continue
        chosen = known.chosen(each.filter_type, each.filter_params)
        if chosen.unknown:
            unknown[each.filter_type, chosen.unknown] += each.strategies
            continue
        label, touch = str(each.label), asked.config.touch_entry_models
        for found in look_ahead(known, chosen.filter, label, each.entry_model, touch):
            key = each.filter_type, found.replace(label, "*")
            early[key] += each.strategies
            sessions.setdefault(key, set()).add(label)
    for (name, reason), count in unknown.most_common():
        yield f"unknown filter {name!r}: {count:,} {asked.strategies} ({reason})"
    for (name, found), count in early.items():
        where = sorted(sessions[name, found])
        in_which = where[0] if len(where) == 1 else f"{len(where)} sessions *"
        yield f"look-ahead of {name!r}: {found}: {count:,} {asked.strategies} of {in_which}"


def _about_stops(asked: _Asked) -> Iterator[str]:
    if not asked.reading.catalogue.has("experimental_strategies", "stop_multiplier"):
        return
    counts = "count(*) FILTER (stop_multiplier IS NULL), count(*) FILTER (stop_multiplier < 1)"
    [(missing, tight)] = asked.rows(counts)
    if missing:
        yield f"stop_multiplier is NULL, taken as 1: {missing:,} {asked.strategies}"
    if tight:
        yield f"stops tighter than the outcomes': {tight:,} {asked.strategies}"


def _about_modes(asked: _Asked) -> Iterator[str]:
    promotion = asked.config.promotion
    column, modes = mode_column(promotion), promotion.modes
    if column.lower() not in asked.reading.catalogue.tables["experimental_strategies"]:
        return
    name = quoted(column)
    there = f"{name} IS NOT NULL AND {name}::VARCHAR <> ''"
    for mode, count in asked.rows(f"{name}::VARCHAR, count(*)", there, "GROUP BY ALL ORDER BY ALL"):
        if modes is None or mode not in (modes.default, *modes.named):
            yield f"{column} {mode!r}, which no rule names: {count:,} {asked.strategies}"


def _about_gates(asked: _Asked) -> Iterator[str]:
    config = asked.config
    if config.gates_only is None or not (config.era_starts or config.holdout_from):
        return
    catalogue = asked.reading.catalogue
    try:
        ungated = read_ungated(asked.connection, catalogue, asked.instrument, config.gates_only, asked.selection)
    except InputError as error:
        yield str(error)
        return
    yield f"gates of eras and holdout are not for {len(ungated):,} {asked.strategies} (gates_only)"


class _Days(NamedTuple):
    """What the conditions of one entry say of all days and sessions in which they are used."""

    days: int = 0
    eligible: int = 0
    unknown: int = 0
    lacking: int = 0  # eligible though a column that the condition names is missing

    def and_in(self, looked: Looked, rows: slice) -> _Days:
        """With one more session."""
        holds = looked.holds[rows]
        eligible = holds.filled(False)
        lacking = eligible & looked.lacks[rows]
        counts = (eligible.size, eligible.sum(), np.ma.getmaskarray(holds).sum(), lacking.sum())
        return _Days(*(own + int(more) for own, more in zip(self, counts, strict=True)))


def _about_days(asked: _Asked, used: list[_Used]) -> Iterator[str]:
    """By entry of the rules, as far as it is used."""
    reading = asked.reading
    if not reading.vocabulary.may_read_all:
        return
    wanted: dict[Session, set[Filter]] = {}
    for each in used:
        if each.label in SESSIONS | reading.catalogue.sessions and each.filter_type is not None:
            selecting = reading.vocabulary.chosen(each.filter_type, each.filter_params).filter
            wanted.setdefault((each.minutes, str(each.label)), set()).add(selecting)
    seen = look(asked.connection, asked.instrument, wanted, reading)
    totals: dict[str, _Days | str] = {}
    for session, filters in wanted.items():
        for condition in sorted({part for each in filters for part in conditions(each)}, key=repr):
            totals |= _counted(totals, condition, seen.found[session[1], condition], seen.of(session))
    fields = {entry.title: ", ".join(entry.fields) for entry in reading.vocabulary.entries}
    for title, total in sorted(totals.items()):
        title = f"{title} of {fields[title]}" if fields.get(title) else title
        if isinstance(total, str):
            yield f"{title}: {total}"
        else:
            yield (
                f"{title}: {total.eligible:,} of {total.days:,} days eligible, {total.unknown:,} NULL, "
                f"{total.lacking:,} eligible though a column that it names is missing"
            )


def _counted(
    totals: Mapping[str, _Days | str], condition: Condition, looked: Looked | str, rows: slice
) -> dict[str, _Days | str]:
    known = totals.get(condition.entry, _Days())
    if isinstance(looked, str) or isinstance(known, str):
        return {condition.entry: looked if isinstance(looked, str) else known}
    return {condition.entry: known.and_in(looked, rows)}
