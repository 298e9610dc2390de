"""How a run ends on the screen: the verdict first, then what is to be known of it, then how long it took."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_validator import InputError, RunResult, validate
from dask_validator.model import TaskTiming
from dask_validator.run.forecast import NOT_REPLAYED
from dask_validator.views.monitor import summary
from dask_validator.wording.sentences import screened
from tests.conftest import Command
from tests.support.tiny import tiny_database


@pytest.fixture(scope="module")
def result(small_source: Path) -> RunResult:
    """A dry run of the small database."""
    return validate(small_source, workers=1, dry_run=True, progress=False)


def longer(result: RunResult, task_s: float, **walkforward: Any) -> RunResult:
    """The same run, had it had ten tasks of so many seconds."""
    timings = [replace_task(result.timings[0], task_s)] * 10
    shown = result.summary | {"total_s": 10 * task_s, "walkforward": result.summary["walkforward"] | walkforward}
    return replace(result, summary=shown, timings=timings, stages={**result.stages, "computing": 10 * task_s}, cores=4)


def replace_task(timing: TaskTiming, seconds: float) -> TaskTiming:
    """The task, had it taken so long."""
    return timing._replace(wall_s=seconds)


def test_the_verdict_comes_first_and_the_time_last(called: Command, small: Path) -> None:
    """What a night's run has decided is its first line; statistics are for those who ask with `-v`."""
    words = ["run", "--db", small, "--workers", 1, "--dry-run"]
    plainly, verbose = (called(*words, *more).stdout.splitlines() for more in ([], ["-v"]))

    assert plainly[0] == f"MGC in {small}: 44 of 591 strategies passed"
    assert re.fullmatch(r"Run \S+: dry run, nothing written; took \d+\.\d\d s", plainly[-1])
    assert not [line for line in plainly if line.startswith(("Computing", "Seconds by stage", "One worker"))]
    assert [line.partition(":")[0] for line in verbose[len(plainly) :]] == [
        "Computing",
        "Seconds by stage",
        "One worker is enough",
    ]


def test_commit_and_run_have_each_their_seconds(result: RunResult) -> None:
    """What the commit took is not what the run took."""
    committed = replace(
        result,
        summary=result.summary | {"dry_run": False, "committed": True, "total_s": 7.5},
        stages={**result.stages, "commit": 0.25},
    )
    assert summary.ending(committed).endswith(": committed in 0.25 s; took 7.50 s")


def test_a_short_run_needs_no_table(result: RunResult) -> None:
    """Below five seconds nobody need think about workers; above, what other numbers would take fits 60 columns."""
    assert "One worker is enough" in summary.statistics(longer(result, 0.1))
    table = summary.statistics(longer(result, 500.0)).splitlines()[-4:]

    assert [line.split()[0] for line in table] == ["Replaying", "workers", "seconds", "*"]
    assert max(map(len, table[1:3])) <= 60
    assert "4*" in table[1].split()


def test_a_table_says_whether_its_start_up_was_measured(result: RunResult) -> None:
    """A run without a cluster has not seen one start: what it adds for that is assumed."""
    long = longer(result, 500.0)

    assert "of start-up assumed) gives" in summary.statistics(long)
    assert "(0.8 s of start-up) gives" in summary.statistics(replace(long, start_up_s=0.8))


def test_no_advice_where_other_workers_would_share_null_worlds(result: RunResult) -> None:
    """The tasks of walk-forward alone say nothing of a run that spent its time in null worlds."""
    long = longer(result, 500.0)
    calibrated = replace(long, stages={**long.stages, "worlds": 900.0})

    assert long.forecasts != []
    assert calibrated.forecasts == []
    assert summary.statistics(calibrated).splitlines()[-1] == NOT_REPLAYED
    with pytest.raises(InputError, match="null worlds"):
        calibrated.plot_speedup()


def test_one_worker_waits_for_nobody(result: RunResult) -> None:
    """Where wall clock and CPU part, one worker is not told that it waited for a core."""
    parted = {"speedup": 1.0, "cpu_speedup": 0.1}

    assert "waited for a core" not in summary.statistics(longer(result, 1.0, workers=1, **parted))
    assert "waited for a core" in summary.statistics(longer(result, 1.0, workers=2, **parted))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((12_996, 3_201, 2_461), "12,996 strategies: 740 walk forward, 2,461 go on only for their seasons"),
        ((9, 4, 4), "9 strategies: 4 go on only for their seasons"),
        ((9, 0, 0), "9 strategies: none goes on"),
    ],
)
def test_what_goes_on_is_told_by_kind(counts: tuple[int, int, int], sentence: str) -> None:
    """Strategies that walk forward are told from those that are rejected and only lack their season split."""
    assert screened(*counts) == f"Screened {sentence}"


def test_kinds_are_counted_as_they_are(called: Command, small: Path) -> None:
    """The strategies that are said to walk forward are those that walk forward."""
    ran = called("run", "--db", small, "--workers", 1, "--dry-run", "--json")

    assert ran.summary["walkforward"]["strategies"] == 78
    assert "Screened 591 strategies: 78 walk forward, 102 go on only for their seasons\n" in ran.stderr


def test_check_and_run_count_unknown_filters_alike(called: Command, small: Path) -> None:
    """What `check` foretells of unknown filters is what the run then says."""
    checked = called("check", "--db", small).stdout
    warned = called("run", "--db", small, "--workers", 1, "--dry-run").stderr
    foretold = re.findall(r"unknown filter ('\w+'): (\d+) waiting", checked)

    assert len(foretold) > 3
    assert sorted(re.findall(r"('\w+') \((\d+)\)", warned)) == sorted(foretold)


def test_nothing_waiting_is_one_line(called: Command, tmp_path: Path) -> None:
    """Run again, it says who has validated the strategies, and how to have them validated once more."""
    words = ["run", "--db", tiny_database(tmp_path / "tiny.duckdb"), "--workers", 1]
    run_id = called(*words, "--json").summary["run_id"]
    again = called(*words)

    assert again.stderr == ""
    [line] = again.stdout.splitlines()
    assert line.startswith(f"Nothing was waiting: the last run was {run_id} on ")
    assert line.endswith("--strategies all validates them again")


def test_nothing_waiting_and_no_run_of_ours(called: Command, tmp_path: Path) -> None:
    """Strategies that somebody else has judged are not claimed."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"validation_status": "PASSED"}])

    assert "Nothing was waiting: no run of ours" in called("run", "--db", database, "--workers", 1).stdout
