"""Imported trades as a source: what the users' tables say of them, a trade log of the same trades says too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from dask_validator import RunConfig, calibrate, import_trades, validate
from dask_validator.api.executors import open_executor
from dask_validator.api.preparing import prepared
from dask_validator.demo import build_demo
from dask_validator.model import OutcomeKey
from dask_validator.run.outcome import Outcome
from dask_validator.run.run import run_validation
from dask_validator.sources.chosen import source_of
from dask_validator.system.same_file import identity
from tests.reference.filters import STRICT_ONLY, is_listed
from tests.reference.tables import Tables
from tests.support.backtests import taken
from tests.support.runs import verdicts
from tests.support.tiny import change
from tests.support.trade_logs import by_id, log, rows

STRATEGIES = 84
ONE_UNIT = 1.01e-4  # of the fourth decimal
# Everybody walks forward: what phases 1 to 5 say is not what is compared.
OPEN = (
    "UPDATE experimental_strategies SET is_canonical = TRUE, validation_status = NULL, validation_notes = NULL, "
    "sample_size = 1000, expectancy_r = 1, median_risk_points = 1000, "
    """yearly_results = '{"2020": {"trades": 9, "avg_r": 1.0}}'"""
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demonstration, without the strategies of filters that nobody knows."""
    path = tmp_path_factory.mktemp("demo") / "tables.duckdb"
    build_demo(path, strategies=STRATEGIES, seed=2)
    unknown = [row["strategy_id"] for row in rows(path) if not _is_known(row["filter_type"])]
    change(path, "DELETE FROM experimental_strategies WHERE strategy_id IN (SELECT unnest(?))", unknown)
    return path


def _is_known(filter_type: str) -> bool:
    return is_listed(filter_type) or filter_type in STRICT_ONLY


@pytest.fixture(scope="module")
def imported(tables: Path) -> Path:
    """The trades that each of them took, as a log."""
    path = tables.with_name("imported.duckdb")
    with duckdb.connect(str(tables), read_only=True) as connection:
        of_demo = Tables(connection, "MGC")
        trades = [
            (row["strategy_id"], day, pnl_r if kind in ("win", "loss") else 0.0)
            for row in of_demo.strategies()
            for day, kind, pnl_r in taken(of_demo, row, strict=True)
        ]
    import_trades(pd.DataFrame(trades, columns=["strategy_id", "trading_day", "r"]), path, "MGC")
    return path


def walked(database: Path, folder: Path) -> dict[str, Mapping[str, Any]]:
    """The line of each strategy's walk-forward, everybody having come so far."""
    copy, lines = Path(shutil.copy(database, folder)), folder / f"{database.stem}.jsonl"
    change(copy, OPEN)
    validate(copy, "MGC", strict_filters=True, wf_output=lines, workers=1, progress=False)
    found = map(json.loads, lines.read_text().splitlines())
    own = ("timestamp", "run_id")
    return {line["strategy_id"]: {name: line[name] for name in line if name not in own} for line in found}


def test_walk_forward_says_the_same(tables: Path, imported: Path, tmp_path: Path) -> None:
    """Strategy by strategy the windows, all their numbers, and the verdict are those that the tables give."""
    of_tables, of_log = walked(tables, tmp_path), walked(imported, tmp_path)
    without = {name for name, line in of_tables.items() if not line["windows"]}

    assert len(of_tables.keys() - without) > STRATEGIES / 2
    assert len({line["passed"] for line in of_tables.values()}) == 2
    assert {name: of_log[name] for name in of_log} == {name: of_tables[name] for name in of_log}
    assert of_tables.keys() - of_log.keys() <= without


def test_numbers_are_those_that_the_backtest_stored(tables: Path, imported: Path) -> None:
    """Six columns of every row, to one unit of the fourth decimal."""
    names = ("sample_size", "win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r")
    stored, found = by_id(tables, *names, "yearly_results"), by_id(imported, *names, "yearly_results")

    assert len(found) > STRATEGIES / 2
    for strategy_id, (*numbers, years) in found.items():
        *expected, of_years = stored[strategy_id]
        assert numbers == pytest.approx(expected, abs=ONE_UNIT), strategy_id
        for year, of_year in json.loads(of_years).items():
            assert json.loads(years)[year] == pytest.approx(of_year, abs=ONE_UNIT), (strategy_id, year)
        assert json.loads(years).keys() == json.loads(of_years).keys()


def test_worlds_promote_as_many(tables: Path, imported: Path, tmp_path: Path) -> None:
    """A calibration takes imported strategies into account, each with the trades that it has."""
    found = calibrate(imported, "MGC", worlds=20, no_regime_waivers=True, journal=tmp_path / "l", progress=False)
    [row] = found.to_dict()["calibration"]
    canonical = sum(by_id(imported, "is_canonical").values())

    assert row["strategies"] + row["not_calibrated"] == canonical
    assert row["not_calibrated"] <= canonical - row["strategies"] < canonical / 10


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Strategies with several trades on some days."""
    import_trades(log(12), tmp_path / "log.duckdb", "ES")
    return tmp_path / "log.duckdb"


def validated(database: Path, workers: int = 1, **blind: Any) -> Outcome:
    """What `validate` does, without writing."""
    config = RunConfig(dry_run=True, wf_output=database.parent / "wf.jsonl")
    with (
        prepared(database, "ES", config) as (order, journal),
        open_executor(workers, dashboard_address=None) as executor,
    ):
        vars(executor).update(blind)
        return run_validation(order, executor, lambda _: None, journal)


@pytest.mark.usefixtures("bounded")
def test_workers_and_blind_workers_say_the_same(several: Path) -> None:
    """Read by two workers, or carried to one that does not see the file."""
    serial = verdicts(validated(several))

    assert verdicts(validated(several, 2)) == serial
    assert verdicts(validated(several, blind=lambda _: ["a worker"])) == serial


BOUND_S = 120


def test_where_trades_lie_makes_no_difference(several: Path) -> None:
    """By the survey, or looked for; also where rows of others lie between."""
    change(several, "INSERT INTO dask_validator_trades SELECT * FROM dask_validator_trades WHERE strategy_id = 'S3'")
    source, file = source_of(several), identity(str(several))
    with duckdb.connect(str(several), read_only=True) as connection:
        layout = source.survey(connection, "ES")
        days = source.days(connection, "ES")
    keys = [*layout.extents, OutcomeKey(*(0, "TRADES", "TRADE_LOG", 0, 0), "nobody")]
    by_layout = source.part("ES", [layout.extents.get(key) for key in keys], file).read(keys)
    searched = source.part("ES", [None] * len(keys), file).read(keys)

    assert not layout.extents[keys[[key.strategy_id for key in keys].index("S3")]].is_alone
    assert [of.days.size for of in searched] == [600 if key.strategy_id == "S3" else 300 for key in keys[:-1]] + [0]
    for one, other in zip(by_layout, searched, strict=True):
        assert [a.tolist() for a in one[:3]] == [b.tolist() for b in other[:3]]
        assert sorted(one.days.tolist()) == one.days.tolist()
        assert set(one.days.tolist()) <= set(days.tolist())


def test_a_log_that_changes_before_the_commit(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import while a run computes: it looks again, and what is committed is of the trades that are there."""
    from dask_validator.run import run as module

    decided, changed = module._decided, []

    def and_then_imported(*args: Any, **flags: Any) -> Any:
        found = decided(*args, **flags)
        if not changed:
            changed.append(import_trades(log(12, mean=-0.5), several, "ES"))
        return found

    monkeypatch.setattr(module, "_decided", and_then_imported)
    result = validate(several, "ES", wf_output=several.parent / "wf.jsonl", workers=1, progress=False)

    assert changed[0].changes.changed == 12
    assert result.summary["committed"]
    assert (result.summary["passed"], result.summary["rejected"]) == (0, 12)
    assert set(by_id(several, "validation_status").values()) == {"REJECTED"}
