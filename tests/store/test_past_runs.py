"""What is read of earlier runs is what they wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dask_validator import RunConfig, validate
from dask_validator.errors import InputError
from dask_validator.rules import jsonl
from dask_validator.store.past_runs import latest_runs, read_past_run
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database


def _validated(path: Path, instrument: str = "MGC", **flags: object) -> str:
    config = RunConfig(wf_output=path.with_suffix(".jsonl"))
    result = validate(path, instrument, config, workers=1, progress=False, **flags)
    return str(result.summary["run_id"])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two strategies of MGC, one of MNQ."""
    rows = [{"strategy_id": "MGC_A"}, {"strategy_id": "MGC_B"}, {"strategy_id": "MNQ_A", "instrument": "MNQ"}]
    return tiny_database(tmp_path / "tiny.duckdb", rows)


def test_a_database_without_runs_has_none(database: Path) -> None:
    """No table of runs is no error."""
    assert read_past_run(database, "MGC") is None
    assert read_past_run(database, "MGC", "any") is None
    assert latest_runs(database) == []


def test_the_latest_run_of_the_instrument_or_the_named_one(database: Path) -> None:
    """Without a name the instrument counts, with one the name alone."""
    first = _validated(database)
    change(database, "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = 'MGC_A'")
    second, other = _validated(database), _validated(database, "MNQ")

    latest, named = read_past_run(database, "MGC"), read_past_run(database, "MGC", other)
    assert latest is not None
    assert named is not None
    assert (latest.run_id, latest.instrument) == (second, "MGC")
    assert (named.run_id, named.instrument) == (other, "MNQ")
    assert latest_runs(database) == [(other, "MNQ"), (second, "MGC"), (first, "MGC")]
    assert read_past_run(database, "MGC", "20200101T000000-abcdef") is None


def test_a_record_is_what_the_run_wrote(database: Path, tmp_path: Path) -> None:
    """Parameters, summary, timings and lines come back as they were."""
    run_id = _validated(database, min_sample=150)

    past = read_past_run(database, "MGC", run_id)

    assert past is not None
    assert past.parameters["min_sample"] == 150
    assert past.summary["rows"] == 2
    assert past.started_at < past.finished_at
    assert sum(timing.strategies for timing in past.timings) == 2
    assert [*past.records()] == [json.loads(line) for line in (tmp_path / "tiny.jsonl").read_text().splitlines()]
    assert [record["strategy_id"] for record in past.records()] == ["MGC_A", "MGC_B"]


def test_lines_longer_than_a_chunk_stay_whole(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the stream is cut, a line is one object."""
    run_id = _validated(database)
    as_an_earlier_version_left_it(database)
    monkeypatch.setattr(jsonl, "CHUNK", 100)

    past = read_past_run(database, "MGC")

    assert past is not None
    lines = [json.loads(line) for line in (tmp_path / "tiny.jsonl").read_text().splitlines()]
    assert [{**record, "run_id": run_id} for record in past.records()] == lines


@pytest.mark.parametrize("damage", ["results[:-9]", "'no stream'::BLOB", "'x'::BLOB"])
def test_damaged_lines_are_one_clear_line(database: Path, damage: str) -> None:
    """They are never taken for fewer lines."""
    _validated(database)
    as_an_earlier_version_left_it(database)
    change(database, f"UPDATE dask_validator_runs SET results = {damage}")

    past = read_past_run(database, "MGC")

    assert past is not None
    with pytest.raises(InputError, match="the lines of the run in dask_validator_runs cannot be read"):
        list(past.records())


def test_a_damaged_record_is_one_clear_line(database: Path) -> None:
    """Whoever has edited the record is told which one cannot be read."""
    run_id = _validated(database)
    change(database, "UPDATE dask_validator_runs SET summary = '{'")

    with pytest.raises(InputError, match=f"the record of run {run_id} .* cannot be read"):
        read_past_run(database, "MGC")
