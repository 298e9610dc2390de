"""From a database, or a run that has just ended, to its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_validator.config import RunConfig, flag
from dask_validator.errors import InputError
from dask_validator.journal.provenance import versions
from dask_validator.model import R, SeasonSplit, Status
from dask_validator.rules import jsonl
from dask_validator.rules.counting import STATUSES
from dask_validator.rules.fdr import Correction
from dask_validator.rules.screening import Market
from dask_validator.run.forecast import NOT_REPLAYED, has_worlds, replay
from dask_validator.run.loading import costs_of_past
from dask_validator.run.order import Order
from dask_validator.run.outcome import Outcome
from dask_validator.run.taken import Known, taken
from dask_validator.store.connection import read
from dask_validator.store.past_runs import PastRun, needed_past_run
from dask_validator.store.present import Present, SeasonCount, count_seasons, count_statuses, read_present
from dask_validator.store.reader import all_imported, read_facts, read_waiting
from dask_validator.store.results import read_outcomes_hashes
from dask_validator.store.selection import REJECTED
from dask_validator.views.report import promoted, tables
from dask_validator.views.report.misses import Miss, evidence_misses, screening_misses
from dask_validator.views.report.page import View, render, write
from dask_validator.wording.sentences import taken_back

if TYPE_CHECKING:
    from dask_validator.rules.verdicts import Verdicts
    from dask_validator.store.database import Database

__all__ = ["report_past_run", "report_result"]


def report_past_run(database: Database, instrument: str, run_id: str | None, output: Path) -> str:
    """Write the report of a committed run, the latest of the instrument unless one is named; return which.

    Raises
    ------
    InputError
        There is no such run, the database cannot be read, or the file cannot be written.
    """
    with database.kept_open():
        run = needed_past_run(database.path, instrument, run_id)
        view = _view(run, _Tables(database, run))
    write(output, render(view))
    return run.run_id


def report_result(result: Outcome, config: RunConfig, output: Path) -> None:
    """Write the report of a run that has just ended: as of a past one, or from memory if it is not committed.

    Raises
    ------
    InputError
        A committed run cannot be read any more, or the file cannot be written.
    """
    if result.order is None:
        raise InputError("this result does not say what the run was asked to do: it cannot be reported")
    database = result.order.database
    if result.summary["committed"]:
        run = needed_past_run(database.path, result.summary["instrument"], result.summary["run_id"])
        view = _view(run, _Tables(database, run))
    else:
        run = _from_memory(result, config)
        view = _view(run, _TablesBeforeCommit(database, run, result))
    write(output, render(view))


def _from_memory(result: Outcome, config: RunConfig) -> PastRun:
    """What the run would have left in `dask_validator_runs`."""
    summary, now = result.summary, datetime.now(UTC)
    started_at = datetime.strptime(summary["run_id"].split("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return PastRun(
        summary["run_id"],
        summary["instrument"],
        started_at,
        now,
        {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()},
        versions(),
        {},
        {**summary, **result.kept},
        list(result.timings),
        summary["db"],
    )


class _Tables:
    """The users' tables as they are now, beside a committed run."""

    selection = REJECTED  # of the strategies that the run has rejected

    def __init__(self, database: Database, run: PastRun) -> None:
        self._database = database
        self._path = database.path
        self._run = run

    def correction(self) -> tuple[Correction, Mapping[int, float]]:
        """Of all p-values, and mean ATR by year."""
        facts = read_facts(self._path, self._run.instrument, self.selection)
        return facts.correction, facts.atr_by_year

    def misses(self, config: RunConfig, atr_by_year: Mapping[int, float]) -> dict[int, list[Miss]]:
        """The nearest ones of phases 1-5."""
        costs = costs_of_past(self._run, config)
        may_miss = self.selection.where("expectancy_r > 0")  # of the others, which are most, no flag helps any
        rejected = read_waiting(self._path, self._run.instrument, may_miss)
        return screening_misses(rejected, config, Market(costs, atr_by_year, self._run.summary.get("unit", R)))

    def imported(self) -> bool:
        """Whether all trades of the instrument were imported."""
        return all_imported(self._path, self._run.instrument)

    def records(self) -> Iterator[dict[str, Any]]:
        """One object per strategy that reached walk-forward."""
        run = self._run
        return run.records() if run.lines else jsonl.records(self.verdicts, run.run_id, run.instrument, run.finished_at)

    @cached_property
    def verdicts(self) -> Verdicts:
        """As they were made; none of a run that an earlier version made."""
        return self._run.verdicts()

    def promoted(self, config: RunConfig, listed: Sequence[Mapping[str, Any]]) -> promoted.Promoted:
        """Trades of those that are listed, each given by its line, as far as they are still those of the run."""
        database = replace(self._database, promotion=config.promotion)
        order = Order(database, self._run.instrument, config, costs_of_past(self._run, config))
        walked = {line["strategy_id"]: jsonl.walked_of(line) for line in listed}
        return promoted.promoted(taken(order, Known(walked, self._hashes(list(walked)))))

    def _hashes(self, ids: Sequence[str]) -> Mapping[str, int]:
        """Of the outcomes that the run has seen."""
        return read(self._path, lambda connection: read_outcomes_hashes(connection, self._run.run_id, ids))

    def rows(self, ids: list[str]) -> dict[str, Present]:
        """By `strategy_id`."""
        return read_present(self._path, ids)

    def seasons(self) -> list[SeasonCount]:
        """Season verdicts, counted."""
        return count_seasons(self._path, self._run.instrument)

    def changed(self, listed: Sequence[tables.Listed]) -> int:
        """How many strategies of the run have another verdict now, at least."""
        return tables.changed_since(self._run.summary, count_statuses(self._path, self._run.instrument), listed)


class _TablesBeforeCommit(_Tables):
    """The same where the verdicts are in memory only."""

    def __init__(self, database: Database, run: PastRun, result: Outcome) -> None:
        super().__init__(database, run)
        self.selection = database.selection.where("is_canonical IS NOT FALSE")
        self.verdicts = result.verdicts

    def _hashes(self, ids: Sequence[str]) -> Mapping[str, int]:
        """Nothing was written, hence nothing hashed."""
        return {}

    def rows(self, ids: list[str]) -> dict[str, Present]:
        """By `strategy_id`, with the verdicts of this run."""
        verdicts = self.verdicts
        return {
            strategy_id: row._replace(
                status=str(STATUSES[verdicts.status[i]]),
                note=verdicts.note(i),
                split=verdicts.splits[i] or SeasonSplit(),
            )
            for strategy_id, row in super().rows(ids).items()
            if (i := verdicts.find(strategy_id)) is not None
        }

    def seasons(self) -> list[SeasonCount]:
        """Season verdicts of this run."""
        verdicts = self.verdicts
        counts = Counter(
            (str(status), split.verdict if (split := verdicts.splits[i]) else None)
            for status in (Status.PASSED, Status.REJECTED)
            for i in verdicts.of(status)
        )
        return [SeasonCount(*key, number) for key, number in counts.items()]

    def changed(self, listed: Sequence[tables.Listed]) -> int:
        """Nothing was written that could have changed."""
        return 0


def _view(run: PastRun, present: _Tables) -> View:
    gaps = [taken_back(run.run_id)] if run.undone else []
    config = correction = None
    misses: dict[int, list[Miss]] = {}
    rows: dict[str, Present] = {}
    rescreened = False
    with _missing("near misses", gaps):
        config = run.config
    judged = tables.judge(present.records(), config)
    with _missing("the columns of promoted strategies, and p-values", gaps):
        rows = present.rows([record["strategy_id"] for record in judged.listed])
        correction, atr_by_year = present.correction()
    with _missing("near misses of phases 1 to 5", gaps):
        if config is not None and correction is not None:
            misses = present.misses(config, atr_by_year)
            rescreened = True
    listed = tables.listed_strategies(judged.listed, rows, correction, run.parameters)
    with _missing("what null worlds say of each strategy", gaps):
        listed, misses[7] = _with_luck(present, listed) if run.summary.get("calibration") else (listed, [])
    found = _promoted(present, config if correction is not None else None, judged.listed, gaps)
    changed = 0
    with _missing("what has changed since the run", gaps):
        changed = present.changed(listed)
    return View(
        run,
        datetime.now(UTC),
        judged,
        promoted.with_twins(listed, found),
        {**misses, 6: judged.misses},
        rescreened,
        None if correction is None else tables.discovery_curve(correction),
        tables.season_rows(_seasons(present, gaps)),
        *_forecasts(run),
        tables.settings(run, flag),
        gaps,
        changed,
        present.imported(),
        found,
        _threads(run, present, gaps),
    )


def _seasons(present: _Tables, gaps: list[str]) -> list[SeasonCount]:
    with _missing("season verdicts", gaps):
        return present.seasons()
    return []


def _promoted(
    present: _Tables, config: RunConfig | None, lines: Sequence[Mapping[str, Any]], gaps: list[str]
) -> promoted.Promoted:
    """Nothing without a config, or without a database that can be read."""
    if config is not None:
        with _missing("twins and cumulative results", gaps):
            return present.promoted(config, lines)
    return promoted.Promoted()


def _threads(run: PastRun, present: _Tables, gaps: list[str]) -> list[promoted.Thread]:
    """Nothing of a run that an earlier version made: it kept the numbers of no gate."""
    with _missing("which promotions hang by a thread", gaps):
        return [] if run.lines else promoted.threads(present.verdicts)
    return []


def _with_luck(present: _Tables, listed: Sequence[tables.Listed]) -> tuple[list[tables.Listed], list[Miss]]:
    """The strategies with what null worlds say of them, and those that a threshold of phase 7 only just rejects."""
    verdicts = present.verdicts
    found = [row._replace(**_of_worlds(verdicts, row.strategy_id)) for row in listed]
    return found, evidence_misses(verdicts)


def _of_worlds(verdicts: Verdicts, strategy_id: str) -> dict[str, Any]:
    i = verdicts.find(strategy_id)
    if i is None:
        return {}
    columns = {name: column[0] for name, column in verdicts.of_all(i).columns.items()}
    wanted = ("z", "luck_bound", "stepm_p")
    return {name: float(columns[name]) for name in wanted if name in columns and not np.isnan(columns[name])}


@contextmanager
def _missing(what: str, gaps: list[str]) -> Iterator[None]:
    """A part that cannot be had is named, the rest is still a report."""
    try:
        yield
    except InputError as error:
        gaps.append(f"Without {what}: {error}")


def _forecasts(run: PastRun) -> tuple[list[tuple[int, float, bool]], str]:
    """What other numbers of workers would take, and how far to trust it."""
    measured: dict[str, Any] = {name: run.summary.get(name) for name in ("stages", "start_up_s", "cores")}
    if not run.timings:
        return [], ""
    if not measured["stages"]:
        return [], "An earlier version made this run and did not keep what a forecast for other workers needs."
    if has_worlds(measured["stages"]):
        return [], NOT_REPLAYED
    replayed = replay(run.timings, run.summary["total_s"], **measured)
    ending = " The commit is not counted." if run.summary["committed"] else ""
    return [
        (one.workers, one.total_s, one.recommended) for one in replayed
    ], f"Each worker has a core of its own in the replay.{ending}"
