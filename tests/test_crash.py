"""A short `make crash`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.crash import KINDS, Trial, commits, kills, older_database, report, undoings
from tests.support.tiny import tiny_database


def check(trials: Iterable[Trial]) -> list[str]:
    """Every trial must be harmless; what was killed."""
    seen = list(trials)
    assert all(trial.harmless for trial in seen), report(seen)
    return [trial.kind for trial in seen]


def test_killed_at_any_moment(small_source: Path, tmp_path: Path) -> None:
    """Wherever SIGKILL meets a run, `--resume` ends as if nothing had happened, and no worker is left behind."""
    assert len(check(kills(small_source, tmp_path, times=8))) == 8


def test_killed_at_any_statement_of_the_commit(tmp_path: Path) -> None:
    """A commit that is cut short leaves the old state, a finished one the new, and `--resume` every line once."""
    killed = check(commits(older_database(tmp_path / "older.duckdb"), tmp_path))

    assert len({*killed}) == len(killed)
    assert {"before BEGIN TRANSACTION", "before ALTER TABLE validated_setups"} <= {*killed}
    assert killed[-3:] == ["before COMMIT", "before closing", "before appending"]


def test_killed_at_any_statement_of_an_undo(tmp_path: Path) -> None:
    """A run is taken back or it is not; tried again, it is, and every table of the users is as before the run."""
    setups = [{"strategy_id": row["strategy_id"], "filter_type": "ORB_G4"} for row in KINDS[1:4]]
    killed = check(undoings(tiny_database(tmp_path / "whole.duckdb", KINDS, setups=setups), tmp_path, times=5))

    steps = ("appending", "closing", "COMMIT", "CREATE OR REPLACE", "UPDATE dask_validator_runs SET")
    assert killed == [f"undo, before {step}" for step in steps]
