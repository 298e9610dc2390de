"""What others change while a run computes is theirs, and what is written is as if it had been there before."""

from __future__ import annotations

import shutil
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dask_validator import NotCommitted
from dask_validator.store import writer
from tests.conftest import Command, everything_in
from tests.support.commits import OLD, commit_replaced, run
from tests.support.tiny import change, line_ids, rows_by_id, tiny_database
from tests.support.uncommitted import (
    STRATEGIES,
    WORSE_OUTCOMES,
    Answers,
    Copy,
    Statement,
    Step,
    flags_of,
    journal_of,
    kept_by,
    leave_uncommitted,
    offered,
    strategy,
    undecided,
    written,
)

BOUND_S = 90
pytestmark = pytest.mark.usefixtures("bounded")


class Meanwhile:
    """Stands in for the commit: before each attempt, others do something."""

    def __init__(self, *steps: Step) -> None:
        self.attempts = 0
        self._steps = steps
        self._commit = writer.commit

    def __call__(self, *given: Any, **named: Any) -> datetime:
        """Commit after what others do."""
        if self.attempts < len(self._steps):
            self._steps[self.attempts]()
        self.attempts += 1
        return self._commit(*given, **named)


def elsewhere(database: Path, statement: Statement) -> Step:
    """What somebody else does while this process has no connection."""
    return partial(change, database, statement)


SAME_KEY = "FROM experimental_strategies WHERE strategy_id = 'MGC_GOOD'"
CHANGES: dict[str, Statement] = {
    "filter_type": strategy("filter_type = 'ORB_G8'"),
    "sample_size": strategy("sample_size = 1"),
    "p_value": strategy("p_value = 0.9"),
    "decided": strategy("validation_status = 'PASSED', validation_notes = 'theirs'"),
    "removed": "DELETE FROM experimental_strategies WHERE strategy_id = 'MGC_2'",
    "added": f"INSERT INTO experimental_strategies SELECT * REPLACE ('MGC_NEW' AS strategy_id) {SAME_KEY}",
    "outcomes": WORSE_OUTCOMES,
    "features": "UPDATE daily_features SET orb_0900_size = 2.0 WHERE symbol = 'MGC'",
    "setup": "UPDATE validated_setups SET status = 'retired' WHERE strategy_id = 'MGC_BAD'",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_changed_meanwhile(several: Path, copied: Copy, undisturbed: Answers, statement: Statement) -> None:
    """Whatever others change while we compute, what is written is what a run after the change would write."""
    afterwards = copied("afterwards", statement)
    run(afterwards)
    meanwhile = Meanwhile(elsewhere(several, statement))
    with commit_replaced(meanwhile):
        result = run(several)

    assert meanwhile.attempts == 2
    assert result.summary["committed"]
    assert written(several) == written(afterwards) != undisturbed
    assert not journal_of(several).exists()


@pytest.mark.parametrize("changed", ["decided", "removed"])
def test_left_alone(several: Path, changed: str) -> None:
    """Strategies that somebody else has decided, or taken away, are named, and others are not."""
    with commit_replaced(Meanwhile(elsewhere(several, CHANGES[changed]))):
        result = run(several)

    [warning] = [warning for warning in result.warnings if "left alone" in warning]
    assert warning.endswith(": MGC_2")
    assert result.summary["rows"] == 5


def test_all_that_is_left_alone_is_named(several: Path) -> None:
    """Strategies that somebody else decides are named also when the database changes twice before the commit."""
    others = (
        elsewhere(several, CHANGES["decided"]),
        elsewhere(several, strategy("validation_status = 'PASSED'", "MGC_3")),
    )
    with commit_replaced(Meanwhile(*others)):
        result = run(several)

    assert [warning for warning in result.warnings if "left alone" in warning][-1].endswith(": MGC_2, MGC_3")


@pytest.mark.parametrize("name", ["commit", "run"])
def test_left_alone_later(inside: Command, several: Path, name: str) -> None:
    """Strategies that somebody else decides between the run and the commit of its results are left alone and named."""
    leave_uncommitted(inside, several)
    change(several, CHANGES["decided"])
    later = inside(name, *(flags_of(several) if name == "run" else kept_by(several)), "--json")

    assert later.summary["committed"]
    assert "left alone: MGC_2\n" in later.stderr
    assert rows_by_id(several, "experimental_strategies")["MGC_2"]["validation_notes"] == "theirs"


def test_somebody_else_validates_them_all(command: Command, several: Path, undisturbed: Answers) -> None:
    """A second run of the same strategies, with another journal, that is faster than ours: only theirs counts."""
    words = ["run", *flags_of(several), "--journal", several.parent / "other.journal"]
    with commit_replaced(Meanwhile(lambda: command(*words))):
        result = run(several)

    assert (result.summary["rows"], result.summary["committed"]) == (0, False)
    assert any("left alone" in warning for warning in result.warnings)
    assert written(several) == undisturbed
    assert everything_in(several.parent).keys() == {"several.duckdb", "wf.jsonl"}


OF_OTHERS = {
    "their rows": strategy("sample_size = 31", "MES_GOOD"),
    "their outcomes": "UPDATE orb_outcomes SET pnl_r = 0 WHERE symbol = 'MES'",
    "their verdicts": strategy("validation_status = 'PASSED'", "MES_GOOD"),
}


@pytest.mark.parametrize("statement", OF_OTHERS.values(), ids=OF_OTHERS)
def test_rows_of_another_instrument_change(several: Path, copied: Copy, statement: Statement) -> None:
    """What no verdict of ours depends on may change as it likes: we commit at the first attempt."""
    undisturbed = copied("undisturbed", statement)
    run(undisturbed)
    meanwhile = Meanwhile(elsewhere(several, statement))
    with commit_replaced(meanwhile):
        run(several)

    assert meanwhile.attempts == 1
    assert written(several) == written(undisturbed)


@pytest.mark.parametrize("lacking", [[], OLD], ids=["new", "old"])
def test_another_instrument_is_committed(command: Command, inside: Command, tmp_path: Path, lacking: list[str]) -> None:
    """Another instrument's run that ends first, and adds columns to an old database, does not make us compute twice."""
    several = tiny_database(tmp_path / "several.duckdb", STRATEGIES, lacking=lacking)
    (tmp_path / "one by one").mkdir()
    one_by_one = Path(shutil.copy(several, tmp_path / "one by one"))
    inside("run", *flags_of(one_by_one), "--instrument", "MES")
    expected = run(one_by_one)
    with commit_replaced(Meanwhile(lambda: command("run", *flags_of(several), "--instrument", "MES"))):
        result = run(several)

    assert "MES_GOOD" in line_ids(tmp_path / "wf.jsonl")
    assert written(several) == written(one_by_one)
    assert result.summary["walkforward"]["tasks"] == expected.summary["walkforward"]["tasks"]


def test_changed_again_and_again(inside: Command, several: Path, copied: Copy) -> None:
    """A database that never comes to rest is given up after three attempts, with nothing written and nothing lost."""
    more = strategy("sample_size = sample_size + 1")
    meanwhile = Meanwhile(*[elsewhere(several, more)] * 10)
    with commit_replaced(meanwhile):
        ran = inside("run", *flags_of(several), "--json")
    changed = copied("changed", *[more] * 3)

    assert ran.code == 4
    assert meanwhile.attempts == 3
    assert (ran.summary["rows"], ran.summary["committed"]) == (6, False)
    assert ran.stderr.count("looking again") == 2
    assert written(several) == written(changed)
    assert inside(*offered(ran.stderr, "commit")).code == 0
    run(several)
    run(changed)
    assert written(several) | {"lines": []} == written(changed) | {"lines": []}


def test_changed_again_and_again_in_python(several: Path) -> None:
    """The exception of a run that gives up carries what it has found out."""
    with (
        commit_replaced(Meanwhile(*[elsewhere(several, strategy("sample_size = sample_size + 1"))] * 3)),
        pytest.raises(NotCommitted, match="experimental_strategies") as caught,
    ):
        run(several)

    assert caught.value.result is not None
    assert caught.value.result.summary["passed"] == 3


@pytest.mark.parametrize(
    ("changed", "code", "rows"), [("filter_type", 0, 5), ("decided", 0, 5), ("outcomes", 2, None), ("setup", 0, 6)]
)
def test_changed_during_the_commit_command(
    inside: Command, several: Path, changed: str, code: int, rows: int | None
) -> None:
    """`commit` as well looks again when others write in the very moment, and still writes only what holds."""
    leave_uncommitted(inside, several)
    with commit_replaced(Meanwhile(elsewhere(several, CHANGES[changed]))):
        later = inside("commit", *kept_by(several), "--json")

    assert later.code == code, later.stderr
    if rows is None:
        assert undecided(several)
        assert journal_of(several).exists()
    else:
        assert later.summary["rows"] == rows
        assert not undecided(several)


# FAILED strategies


def test_failed_ones_are_retried_when_asked(several: Path, copied: Copy) -> None:
    """FAILED strategies wait until --resume asks for them, and then are validated as if they had never failed."""
    mended = copied("mended", "UPDATE experimental_strategies SET validation_status = NULL")
    run(mended)
    plain = run(several)
    assert rows_by_id(several, "experimental_strategies")["MGC_MENDED"]["validation_status"] == "FAILED"
    resumed = run(several, resume=True)

    assert (plain.summary["rows"], resumed.summary["rows"]) == (6, 2)
    assert written(several) | {"lines": []} == written(mended) | {"lines": []}
    assert sorted(line_ids(several.parent / "wf.jsonl")) == line_ids(mended.parent / "wf.jsonl")


@pytest.mark.parametrize("resume", [False, True])
def test_failed_meanwhile(several: Path, resume: bool) -> None:
    """What somebody else declares FAILED while we compute is theirs, unless --resume is there to retry FAILED ones."""
    failed = strategy("validation_status = 'FAILED', validation_notes = 'theirs'")
    with commit_replaced(Meanwhile(elsewhere(several, failed))):
        result = run(several, resume=resume)

    rows = rows_by_id(several, "experimental_strategies", "validation_status")
    expected = "PASSED" if resume else "FAILED"
    assert [rows[name]["validation_status"] for name in ("MGC_2", "MGC_MENDED")] == [expected] * 2
    assert any("left alone" in warning for warning in result.warnings) is not resume
