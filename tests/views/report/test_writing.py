"""A report is written for every run, past or just ended, whole or not at all, and nothing else is touched."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dask_validator import RunConfig, validate
from dask_validator.cli.commands import main
from dask_validator.config import WindowRules
from dask_validator.model import LOSS, WIN, Outcomes
from dask_validator.promoted.trades import Trades, trades_of
from dask_validator.rules.screening import Market
from dask_validator.run.instruments import costs_of
from dask_validator.store import writer
from dask_validator.store.past_runs import PastRun, read_past_run
from dask_validator.store.reader import read_facts, read_waiting
from dask_validator.store.selection import REJECTED
from dask_validator.system.interrupts import ENDING
from dask_validator.views.report import promoted, tables
from dask_validator.views.report.misses import screening_misses
from dask_validator.views.report.of_run import report_result
from dask_validator.views.report.page import View, render
from tests.conftest import Command, everything_in
from tests.support.commits import Opener, commit_replaced
from tests.support.tiny import change, rows_by_id, tiny_database
from tests.test_locks import HOLDING, Other

MEGABYTE = 2**20


def seen(html: str) -> str:
    """A report but for when it was made."""
    return re.sub(r"report made [^<]*", "", html)


def opened(html: str) -> list[dict[str, Any]]:
    """What the rows of a report open to, but for the command, which names the database and the run."""
    found = re.search(r'<script type="application/json" id="details">(.*?)</script>', html, re.DOTALL)
    assert found
    details: list[dict[str, Any]] = json.loads(found[1])
    return [{name: value for name, value in of.items() if name != "explain"} for of in details]


def unbroken(html: str) -> str:
    """Without the places where names may be broken."""
    return html.replace("<wbr>", "")


def listed(html: str) -> list[str]:
    """The strategies in a report's table."""
    return re.findall(r'aria-expanded="false">([^<]*)</button>', unbroken(html))


def cells(html: str, strategy_id: str) -> list[str]:
    """The cells of one row as text, without tags."""
    [row] = [row for row in unbroken(html).split("<tr ") if f">{strategy_id}</button>" in row]
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]


@pytest.fixture(scope="module")
def committed(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database, a committed run in it, and that run's report."""
    folder = tmp_path_factory.mktemp("committed")
    shutil.copy(small_source, folder / "small.duckdb")
    command = [sys.executable, "-m", "dask_validator", "run", "--db", "small.duckdb", "--workers", "1"]
    subprocess.run([*command, "--report", "run.html"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def database(committed: Path, tmp_path: Path) -> Path:
    """A copy of the committed database."""
    return Path(shutil.copy(committed / "small.duckdb", tmp_path / "small.duckdb"))


def past_run(database: Path) -> PastRun:
    """The latest run in a database."""
    run = read_past_run(database, "MGC")
    assert run is not None
    return run


def test_a_past_run_has_the_report_that_the_run_wrote(called: Command, committed: Path, tmp_path: Path) -> None:
    """`report` and `run --report` write the same, and `report` changes no byte of the database."""
    before = everything_in(committed)
    run_id = past_run(committed / "small.duckdb").run_id

    latest = called("report", "--db", committed / "small.duckdb", "--output", tmp_path / "latest.html")
    named = called("report", "--db", committed / "small.duckdb", "--run", run_id, "--output", tmp_path / "named.html")

    assert (latest.code, named.code) == (0, 0), latest.stderr + named.stderr
    assert latest.stderr.splitlines() == [f"Report of run {run_id}: {tmp_path / 'latest.html'}"]
    written = seen((committed / "run.html").read_text())
    assert seen((tmp_path / "latest.html").read_text()) == written
    assert seen((tmp_path / "named.html").read_text()) == written
    assert everything_in(committed) == before


def test_what_is_listed_is_what_was_promoted(committed: Path) -> None:
    """Every promoted strategy with its windows as stored, and p, adjusted p and seasons as in `validated_setups`."""
    database, html = committed / "small.duckdb", (committed / "run.html").read_text()
    run = past_run(database)
    records = {record["strategy_id"]: record for record in run.records() if record["passed"]}
    columns = ("dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict")
    setups = rows_by_id(database, "validated_setups", "fdr_adjusted_p", "fdr_significant", *columns)
    details = dict(zip(listed(html), opened(html), strict=True))

    assert details.keys() == records.keys()
    assert len(details) == run.summary["passed"] > 20
    for strategy_id, shown in details.items():
        windows = records[strategy_id]["windows"]
        assert shown["windows"] == [[w["window_start"], w["test_n"], w["test_exp_r"]] for w in windows]
        assert shown["end"] == windows[-1]["window_end"]
        stored = setups[strategy_id]
        assert [*shown["split"], shown["season"]] == [*(stored[name] for name in columns[:4]), stored[columns[4]] or ""]
        adjusted = stored["fdr_adjusted_p"]
        assert shown["adjusted"] == ("" if adjusted is None else f"{adjusted:.6f}" if adjusted >= 1e-6 else "<1e-6")
        assert shown["significant"] == bool(stored["fdr_significant"])
        assert cells(html, strategy_id)[6] == f"{records[strategy_id]['agg_oos_exp_r']:.4f}"


def test_a_dry_run_has_the_report_of_the_run_after_it(
    called: Command, small_source: Path, committed: Path, tmp_path: Path
) -> None:
    """From memory alone: the same strategies, windows, seasons, near misses and counts, and nothing is written."""
    folder = tmp_path / "database"
    folder.mkdir()
    database = shutil.copy(small_source, folder / "small.duckdb")
    before = everything_in(folder)
    ran = called("run", "--dry-run", "--workers", 1, "--db", database, "--report", tmp_path / "dry.html")

    assert ran.code == 0, ran.stderr
    assert everything_in(folder) == before
    dry, run = (path.read_text() for path in (tmp_path / "dry.html", committed / "run.html"))
    assert "dry run, nothing written" in dry
    assert listed(dry) == listed(run)
    assert opened(dry) == opened(run)
    funnel = re.compile(r'<table class="funnel".*?</table>', re.DOTALL)
    assert funnel.findall(dry) == funnel.findall(run) != []
    walkforward = re.compile(r'<section id="walkforward">.*?</section>', re.DOTALL)
    assert walkforward.findall(dry) == walkforward.findall(run) != []


def test_no_such_run(called: Command, database: Path, tmp_path: Path) -> None:
    """An unknown run is one line that names the latest ones, and no file appears."""
    run_id, output = past_run(database).run_id, tmp_path / "new.html"
    unknown = called("report", "--db", database, "--run", "2020", "--output", output)
    other = called("report", "--db", database, "--instrument", "MNQ", "--output", output)

    assert (unknown.code, other.code) == (2, 2)
    assert [line.split("; ")[1] for line in (unknown.stderr + other.stderr).splitlines()] == [
        f"the latest are {run_id} (MGC)"
    ] * 2
    assert "no committed run '2020'" in unknown.stderr
    assert "no committed run of MNQ" in other.stderr
    assert not output.exists()


def test_a_database_without_runs(called: Command, small: Path, tmp_path: Path) -> None:
    """There is nothing to report, and the database stays as it was."""
    before = everything_in(tmp_path)
    refused = called("report", "--db", small, "--output", tmp_path / "new.html")

    assert refused.code == 2
    assert refused.stderr.count("\n") == 1
    assert "it has none at all" in refused.stderr
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("small.duckdb", "which is the database"),
        ("link.html", "which is the database"),
        ("small.duckdb.MGC.journal", "which is the journal"),
        ("notes.txt", "which is there and is no report"),
        (".", "which is not a file"),
        ("nowhere/run.html", "which cannot be written"),
    ],
)
@pytest.mark.parametrize("args", [["report", "--output"], ["run", "--workers", 1, "--report"]], ids=["report", "run"])
def test_an_output_that_is_something_else(
    called: Command, database: Path, tmp_path: Path, args: list[object], output: str, why: str
) -> None:
    """What is no report is never overwritten; it is refused before any work is done."""
    (tmp_path / "notes.txt").write_text("my own")
    (tmp_path / "link.html").symlink_to("small.duckdb")
    before = everything_in(tmp_path)

    refused = called(*args, tmp_path / output, "--db", database)

    assert refused.code == 2
    assert f"{args[-1]} got {tmp_path / output}, {why}" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert everything_in(tmp_path) == before


def test_a_report_is_not_the_jsonl(called: Command, database: Path, tmp_path: Path) -> None:
    """Nor may it take the place of what the same run is to write."""
    refused = called("run", "--db", database, "--report", "x.html", "--wf-output", tmp_path / "x.html")

    assert refused.code == 2
    assert "which is the --wf-output" in refused.stderr


def test_a_demonstration_refuses_before_it_is_made(called: Command, tmp_path: Path) -> None:
    """Not after ten seconds of making a database."""
    (tmp_path / "notes.txt").write_text("my own")

    assert called("demo", "--db", "demo.duckdb", "--strategies", 50, "--report", "notes.txt").code == 2
    assert everything_in(tmp_path) == {"notes.txt": b"my own"}


def test_a_report_is_written_whole_or_not_at_all(database: Path, tmp_path: Path) -> None:
    """A full disk leaves the report of yesterday as it was, and nothing beside it."""
    (tmp_path / "run.html").write_text("<!doctype html><!-- report of dask_validator --> of yesterday")
    before = everything_in(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "dask_validator", "report", "--db", str(database), "--output", "run.html"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY)),
    )

    assert done.returncode == 2
    assert done.stderr == "dask-validator: the report run.html could not be written (File too large)\n"
    assert everything_in(tmp_path) == before


def test_a_report_replaces_the_one_before(called: Command, database: Path, tmp_path: Path) -> None:
    """Its own file may be written again."""
    for _ in range(2):
        assert called("report", "--db", database, "--output", "run.html", "-q").stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"small.duckdb", "run.html"}


@pytest.fixture
def handlers() -> Iterator[None]:
    """The commands' signal handlers, taken away again."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_run_that_could_not_commit_has_its_report(tmp_path: Path) -> None:
    """Made from memory, it says so; the commit later writes that of the committed run."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    flags = ["--db", str(database), "--report", str(tmp_path / "run.html")]
    jsonl = ["--wf-output", str(tmp_path / "wf.jsonl")]
    with commit_replaced(partial(writer.commit, connect=Opener(range(5, 6)))), pytest.raises(SystemExit) as ended:
        main(["run", *flags, *jsonl, "--workers", "1"])
    first = (tmp_path / "run.html").read_text()
    with pytest.raises(SystemExit) as later:
        main(["commit", *flags, *jsonl])

    assert (ended.value.code, later.value.code) == (4, 0)
    assert '<span class="badge undone">not committed</span>' in first
    assert listed(first) == ["MGC_GOOD"]
    second = (tmp_path / "run.html").read_text()
    assert '<span class="badge">committed</span>' in second
    assert opened(second) == opened(first)


def test_a_database_that_cannot_be_read_meanwhile(small: Path, tmp_path: Path) -> None:
    """What is in memory is reported, what is missing is named."""
    config = RunConfig(dry_run=True)
    result = validate(small, "MGC", config, workers=1, progress=False)
    holder = Other(HOLDING, small, "writing")
    report_result(result, config, tmp_path / "run.html")
    holder.go_on()

    html = (tmp_path / "run.html").read_text()
    gaps = re.findall(r'<p class="gap">(Without[^<]*)', html)
    assert len(gaps) == 1
    assert f"held by PID {holder.pid}" in gaps[0]
    assert len(listed(html)) == result.summary["passed"]


def test_costs_that_are_gone(called: Command, tmp_path: Path) -> None:
    """A run is kept with its costs: its report is as full without the file that they came from."""
    costs = "point_value = 1\ncommission_rt = 0\nspread_doubled = 0\nslippage = 0\ntick_size = 0.1\nmin_ticks_floor = 1"
    (tmp_path / "costs.toml").write_text(f"[XAU]\n{costs}\n")
    rows = [
        {"strategy_id": "XAU_A", "instrument": "XAU"},
        {"strategy_id": "XAU_B", "instrument": "XAU", "sample_size": 9},
    ]
    database = tiny_database(tmp_path / "tiny.duckdb", rows)
    flags = ["--db", database, "--instrument", "XAU"]
    called("run", *flags, "--instruments", "costs.toml", "--workers", 1, "--report", "with.html")
    (tmp_path / "costs.toml").unlink()
    called("report", *flags, "--output", "without.html")

    pages = [(tmp_path / name).read_text() for name in ("with.html", "without.html")]
    assert ["<code>--min-sample 9</code>" in page for page in pages] == [True, True]
    assert not any("Without near misses" in page for page in pages)


def test_rows_that_are_gone_or_changed_since(called: Command, database: Path, tmp_path: Path) -> None:
    """The run stays what it was; what its strategies have become is said beside them."""
    ids = [record["strategy_id"] for record in past_run(database).records() if record["passed"]]
    change(database, "DELETE FROM validated_setups WHERE strategy_id = ?", ids[0])
    change(database, "DELETE FROM experimental_strategies WHERE strategy_id = ?", ids[0])
    change(database, "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE strategy_id = ?", ids[1])
    called("report", "--db", database, "--output", "run.html")

    html = (tmp_path / "run.html").read_text()
    assert sorted(listed(html)) == ids
    assert cells(html, ids[0])[0] == f"{ids[0]} row is gone"
    assert cells(html, ids[1])[0] == f"{ids[1]} REJECTED"
    assert cells(html, ids[2])[0] == ids[2]


def test_near_misses_are_sought_among_all_that_were_rejected(committed: Path) -> None:
    """No row that could be one is left unread."""
    database, html = committed / "small.duckdb", (committed / "run.html").read_text()
    config, atr = past_run(database).config, read_facts(database, "MGC").atr_by_year
    found = screening_misses(read_waiting(database, "MGC", REJECTED), config, Market(costs_of("MGC"), atr))

    shown = re.findall(r'<td class="long">([^<]*)</td><td>[^<]*</td><td><code>([^<]*)</code>', unbroken(html))
    expected = [(miss.strategy_id, miss.remedy.flags) for phase in range(1, 6) for miss in found[phase][:10]]
    assert shown[: len(expected)] == expected
    assert len(expected) >= 11


@pytest.mark.parametrize("flags", [["--no-walkforward"], ["--min-sample", "100000"]], ids=" ".join)
def test_runs_without_anything_to_list(called: Command, tmp_path: Path, flags: list[str]) -> None:
    """No walk-forward, or nobody passed: still a report."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    ran = called("run", "--db", database, "--workers", 1, "--report", "run.html", *flags)

    assert ran.code == 0, ran.stderr
    assert listed((tmp_path / "run.html").read_text()) == []


def test_a_run_that_had_nothing_to_do_leaves_the_last_report(called: Command, tmp_path: Path) -> None:
    """Running again, as one does to be sure, does not replace a report by an empty one; `-q` says nothing."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    words = ["run", "--db", database, "--workers", 1, "--report", "run.html"]
    assert called(*words).code == 0
    before = (tmp_path / "run.html").read_bytes()
    again, quietly = called(*words), called(*words, "-q")

    assert again.code == quietly.code == 0
    assert "\nMGC: nothing was validated, no report written; " in f"\n{again.stderr}"
    assert (quietly.stdout, quietly.stderr) == ("", "")
    assert (tmp_path / "run.html").read_bytes() == before


def test_an_earlier_record_is_reported_too(called: Command, database: Path, tmp_path: Path) -> None:
    """Without stages there is no forecast, with other parameters there are no near misses; the rest is there."""
    change(
        database,
        "UPDATE dask_validator_runs SET summary = json_merge_patch(summary, '{\"stages\": null}'), "
        "parameters = json_merge_patch(parameters, '{\"forgotten\": 1}')",
    )
    assert called("report", "--db", database, "--output", "run.html").code == 0

    html = (tmp_path / "run.html").read_text()
    assert "Recommended" not in html
    assert "did not keep what a forecast for other workers needs" in html
    assert "was made by another version of dask_validator" in html
    assert len(listed(html)) == past_run(database).summary["passed"]


def walk(seed: int) -> Trades:
    """Trades of ten years that go anywhere."""
    results = np.random.default_rng(seed).normal(0, 1, 400)
    code = np.where(results > 0, WIN, LOSS).astype(np.uint8)
    outcomes = Outcomes(np.arange(16_800, 20_400, 9, dtype=np.int32), code, results)
    return trades_of(outcomes, np.full(400, True), WindowRules(), windows=False)


@pytest.mark.parametrize(("windows", "rows"), [(18, 2_000), (120, 666)])
def test_a_report_is_bounded(committed: Path, windows: int, rows: int) -> None:
    """However many passed, and however many windows they have: it says what is listed, and is below five megabytes."""
    past = past_run(committed / "small.duckdb")
    longest = max(past.records(), key=lambda record: len(record["windows"]))
    longest["windows"] = (longest["windows"] * windows)[:windows]
    many = [
        {**longest, "strategy_id": f"{longest['strategy_id']}_{i:05}", "passed": True, "agg_oos_exp_r": i / 1e4}
        for i in range(3_000)
    ]
    judged = tables.judge(many, None)
    listing = tables.listed_strategies(judged.listed, {}, None, {})
    found = promoted.promoted((row.strategy_id, walk(seed)) for seed, row in enumerate(listing))
    view = View(past, datetime.now(UTC), judged, listing, {}, False, None, [], [], "", [])
    html = render(view._replace(promoted=found))

    assert listed(html) == [record["strategy_id"] for record in many[::-1][:rows]]
    assert f"Cut short: {rows:,} of 3,000 are listed." in html
    assert f"{rows:,} distinct results stand behind {rows:,} promotions" in html
    assert len(html.encode()) < 5 * MEGABYTE


@pytest.mark.parametrize(
    ("expectancies", "said", "caption"),
    [
        ([0.2, 0.3, 0.409], [], "(above 0 R needed)"),
        ([-0.1, 0.1, 0.21], [], "(dashed: above 0 R needed)"),
        ([*[i / 100 for i in range(200)], 50.0, 60.0, -70.0], ["(3 of 203)"], "(dashed: above 0 R needed)"),
    ],
    ids=["all above", "on both sides", "some far away"],
)
def test_what_figures_are_said_to_show(
    committed: Path, expectancies: list[float], said: list[str], caption: str
) -> None:
    """How many lie beyond the first and last bar is told where some do; no dashed line is named that is not there."""
    past = past_run(committed / "small.duckdb")
    line = next(past.records())
    lines = [{**line, "agg_oos_exp_r": expectancy} for expectancy in expectancies]
    html = render(View(past, datetime.now(UTC), tables.judge(lines, None), [], {}, False, None, [], [], "", []))

    assert re.findall(r"last bar of expectancy include what lies beyond (.*?)\.", html) == said
    assert f"Expectancy in the test windows {caption}" in html


def test_counts_that_the_database_stores_as_floats(tmp_path: Path) -> None:
    """Trades and minutes are whole numbers in the report, whatever the type of their columns."""
    database = tiny_database(tmp_path / "floats.duckdb", [{"dst_winter_n": 12, "dst_verdict": "STABLE"}])
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP TABLE edge_families; DROP TABLE validated_setups_archive")
        connection.execute("CREATE TABLE setups AS FROM validated_setups; DROP TABLE validated_setups")
        connection.execute("ALTER TABLE setups RENAME TO validated_setups")
        connection.execute("ALTER TABLE validated_setups ADD PRIMARY KEY (strategy_id)")
        for name in ("sample_size", "orb_minutes", "dst_winter_n"):
            connection.execute(f"ALTER TABLE experimental_strategies ALTER {name} TYPE DOUBLE")
    config = RunConfig(dry_run=True)
    report_result(validate(database, "MGC", config, workers=1, progress=False), config, tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text()

    assert "<td>0900 5m</td>" in page
    assert 'data-value="200">200</td>' in page
    assert '"split":[12,' in page
