"""Records of committed runs that somebody else has made: whoever reads them says so in one line."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import validate
from dask_validator.rules import jsonl
from dask_validator.store import past_runs
from tests.adversary.test_journal import ODD, _places, _with, end_of
from tests.support.tiny import as_an_earlier_version_left_it, change, tiny_database

BOUND_S = 60
TEXTS = ("parameters", "versions", "fingerprints", "summary", "task_timings")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one committed run; never written, only copied."""
    database = tiny_database(tmp_path_factory.mktemp("source") / "tiny.duckdb", [{}, {"strategy_id": "MGC_B"}])
    validate(database, workers=1, progress=False, wf_output=database.parent / "wf.jsonl")
    as_an_earlier_version_left_it(database)
    return database


@pytest.fixture
def database(source: Path, tmp_path: Path) -> Path:
    """A fresh copy."""
    return Path(shutil.copy(source, tmp_path))


def record_of(database: Path) -> dict[str, Any]:
    """The one record of a database, as JSON has it."""
    with duckdb.connect(str(database), read_only=True) as opened:
        names = ", ".join((*TEXTS, "results"))
        ((*texts, results),) = opened.execute(f"SELECT {names} FROM dask_validator_runs").fetchall()
    lines = [json.loads(line) for line in zlib.decompress(results).splitlines()]
    return {**dict(zip(TEXTS, map(json.loads, texts), strict=True)), "results": lines}


def stored(column: str, value: Any) -> Any:
    """As the column holds it."""
    if column in TEXTS:
        return json.dumps(value)
    lines = value if isinstance(value, list) else [value]
    return zlib.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def forged_records(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value of a record in turn made odd, a kind of oddity after the other; then what no JSON should be."""
    for number, (column, *place) in enumerate(place for place in _places(record) if place):
        odd = ODD[number % len(ODD)]
        yield column, stored(column, _with(record[column], tuple(place), odd))
    yield "summary", "[" * 100_000
    yield "parameters", '{"min_sample": ' + "9" * 10_000 + "}"
    yield "results", b"no stream"


def ways(database: Path) -> list[list[object]]:
    """The commands that read records: explain, report, run."""
    beside = database.parent
    commands: list[list[object]] = [["explain", "MGC_GOOD"], ["report", "-q", "--output", beside / "o.html"]]
    commands.append(["run", "-q", "--workers", 1, "--wf-output", beside / "wf.jsonl"])
    return [[*command, "--db", database] for command in commands]


def ends(database: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[int, int]]:
    """Exit codes of these commands, and how many lines they have complained of."""
    return [(code, len(lines)) for code, lines in (end_of(*words, capsys=capsys) for words in ways(database))]


@pytest.mark.usefixtures("handlers")
def test_forged_records(source: Path, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records of a run with one odd value: explain, report and run say at most one line"""
    back = f"ATTACH '{source}' AS source; UPDATE dask_validator_runs SET {{0}} = (SELECT {{0}} FROM source.{{1}})"
    for number, (column, value) in enumerate(list(forged_records(record_of(source)))[::12]):
        change(database, f"UPDATE dask_validator_runs SET {column} = ?", value)
        code, lines_said = end_of(*ways(database)[number % 3], capsys=capsys)
        assert (code, len(lines_said)) in [(0, 0), (2, 1)][: 1 + (number % 3 < 2)], (column, value, lines_said)
        change(database, back.format(column, "dask_validator_runs"))


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("value", ["NULL", "'infinity'", "'-infinity'", "TIMESTAMPTZ '290000-01-01'"])
def test_moments_of_no_calendar(database: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    """Records of a run that ended never, or before all time"""
    change(database, "CREATE TABLE r AS FROM dask_validator_runs; DROP TABLE dask_validator_runs")
    change(
        database, f"ALTER TABLE r RENAME TO dask_validator_runs; UPDATE dask_validator_runs SET finished_at = {value}"
    )

    explained, reported, run = ends(database, capsys)
    assert {explained, reported} <= {(0, 0), (2, 1)}
    assert run == (0, 0)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("byte", [b"a", b"\n"], ids=["one line", "many lines"])
def test_a_stream_that_swells(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, byte: bytes
) -> None:
    """Kept lines that are a small stream of a size that no memory holds"""
    made: list[int] = []
    really = jsonl.decompressed

    def counted(lines: bytes) -> Iterator[bytes]:
        for chunk in really(lines):
            made.append(len(chunk))
            yield chunk

    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(byte * (1 << 20)) for _ in range(64)) + compressor.flush()
    change(database, "UPDATE dask_validator_runs SET results = ?", bomb)
    monkeypatch.setattr(jsonl, "decompressed", counted)
    monkeypatch.setattr(past_runs, "LONGEST", 1 << 22)

    assert ends(database, capsys) == [(2, 1), (2, 1), (0, 0)]
    assert sum(made) < 2 * (past_runs.LONGEST + (2 << 20))


def test_lines_beyond_all_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept lines that are more than what they take can be: an append of them would fill the disk"""
    monkeypatch.setattr(jsonl, "MOST", 1000)
    ours, swelling = b'{"strategy_id": "MGC"}\n', b"a" * (1 << 20)
    assert b"".join(jsonl.decompressed(zlib.compress(ours))) == ours
    with pytest.raises(ValueError, match="too many"):
        list(jsonl.decompressed(zlib.compress(swelling, 9)))


@pytest.mark.usefixtures("handlers", "bounded")
@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "large", "nested"])
def test_files_that_a_record_names(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """A record of a run whose file of costs is a device, a pipe, a huge file, or endlessly nested"""
    path = tmp_path / place
    if place == "pipe":
        os.mkfifo(path)
    elif place == "large":
        path.touch()
        os.truncate(path, 1 << 40)
    elif place == "nested":
        path.write_text("MGC = " + "[" * 100_000)
    record = record_of(database)
    parameters = record["parameters"] | {"instruments": str(path)}
    change(database, "UPDATE dask_validator_runs SET parameters = ?", json.dumps(parameters))
    assert ends(database, capsys) == [(0, 0), (0, 0), (0, 0)]  # the record has the costs themselves

    del record["summary"]["costs"]  # as an earlier version has left it
    change(database, "UPDATE dask_validator_runs SET summary = ?", json.dumps(record["summary"]))
    assert ends(database, capsys) == [(2, 1), (0, 0), (0, 0)]


FORGED = (
    *(
        "verdict = 'PERHAPS'",
        "verdict = NULL",
        "gate = 'no gate'",
        "strategy_id = NULL",
        "outcomes = -1",
        "reason = NULL",
    ),
    *(
        "sample_size = 'nan'",
        "agg_oos_exp_r = 1e308",
        "regime_waivers = '['",
        "regime_waivers = '9'",
        "keeps_split = NULL",
    ),
    *("years_tested = NULL", "every_day = NULL", "p_value = 'inf'", "adjusted_p = -1", "dst_verdict = chr(27)"),
)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("forged", FORGED)
def test_forged_results(tmp_path: Path, capsys: pytest.CaptureFixture[str], forged: str) -> None:
    """Tables of results with one odd column: explain, report and run say at most one line"""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_B"}])
    validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    change(database, f"UPDATE dask_validator_results SET {forged}")

    explained, reported, run = ends(database, capsys)
    assert {explained, reported} <= {(0, 0), (2, 1)}
    assert run == (0, 0)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("forged", ["window_start = 'infinity'", "window_end = NULL", "test_n = NULL", "test_n = -1"])
def test_forged_windows(tmp_path: Path, capsys: pytest.CaptureFixture[str], forged: str) -> None:
    """Tables of windows with one odd column: explain, report and run say at most one line"""
    database = tiny_database(tmp_path / "tiny.duckdb")
    validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")
    change(database, f"UPDATE dask_validator_windows SET {forged}")

    explained, reported, run = ends(database, capsys)
    assert {explained, reported} <= {(0, 0), (2, 1)}
    assert run == (0, 0)


@pytest.mark.usefixtures("handlers")
def test_forged_runs_compared_and_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results, windows and parameters with one odd value: compare and audit end, and say at most one line"""
    source = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_B"}])
    run = validate(source, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl").summary["run_id"]
    endless = json.dumps({"fdr_k_file": "/dev/zero", "gate": ["fdr"]})
    forgeries = [
        *(("results", forged) for forged in FORGED[::3]),
        ("windows", "test_n = -1"),
        ("runs", "parameters = '{\"nobody\": 1}'"),
        ("runs", f"parameters = json_merge_patch(parameters, '{endless}')"),
    ]
    for table, forged in forgeries:
        database = Path(shutil.copy(source, tmp_path / "forged.duckdb"))
        change(database, f"UPDATE dask_validator_{table} SET {forged}")
        for words in (["compare", run, run], ["audit"]):
            code, lines_said = end_of(*words, "--db", database, capsys=capsys)
            assert (code, len(lines_said)) in [(0, 0), (2, 1), (3, 0)], (forged, words, lines_said)
