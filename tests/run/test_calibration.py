"""Who is calibrated and who is not, what is refused, and that nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dask_validator import InputError, calibrate
from dask_validator.execution.executor import Job
from dask_validator.execution.serial import SerialExecutor
from dask_validator.rules.gates import GATES
from dask_validator.run import null_worlds
from dask_validator.universe import gates
from dask_validator.work import plan
from tests.conftest import Command, everything_in
from tests.support.calibrations import five_keys, told
from tests.support.tiny import change

NOT_STORED = "its stored numbers do not follow from its outcomes and filter"
LEFT_OUT = {
    "MGC_NEVER": NOT_STORED,
    "MGC_OTHER_MEAN": NOT_STORED,
    "MGC_OTHER_DAYS": NOT_STORED,
    "MGC_FAILED": "filter_type is NULL: it is unknown which days the strategy trades",
}
CALIBRATED = 11
FEW: dict[str, Any] = {"worlds": 20, "null_seed": 3, "min_sample": 50, "no_walkforward": True}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, never written."""
    return five_keys(tmp_path_factory.mktemp("source") / "keys.duckdb")


@pytest.fixture
def database(source: Path, tmp_path: Path) -> Path:
    """A fresh copy, alone in its folder."""
    (tmp_path / "data").mkdir()
    return Path(shutil.copy(source, tmp_path / "data" / "keys.duckdb"))


def calibrated(database: Path, **flags: Any) -> Any:
    """In this process."""
    return calibrate(database, workers=1, progress=False, **FEW | flags)


def test_who_is_left_out(database: Path) -> None:
    """Whoever is not calibrated is named with a reason, and counted; the others are all there."""
    found = calibrated(database)

    assert dict(found.not_calibrated) == LEFT_OUT
    assert len(found.strategies.ids) == found.settings[0].strategies == CALIBRATED
    assert found.settings[0].not_calibrated == len(LEFT_OUT)
    assert "MGC_NOT_CANONICAL" not in {*found.not_calibrated, *found.strategies.ids}


def test_whoever_is_judged_already_is_calibrated_too(database: Path) -> None:
    """All strategies of the instrument, as for the false discovery rate: not only those that wait."""
    expected = told(calibrated(database))
    change(database, "UPDATE experimental_strategies SET validation_status = 'PASSED' WHERE filter_type = 'NO_FILTER'")

    assert told(calibrated(database)) == expected


def test_promoted_without_being_calibrated(database: Path) -> None:
    """Promotions of strategies that are left out are a number beside the others, never among them."""
    before = calibrated(database).settings[0]
    change(database, "UPDATE experimental_strategies SET expectancy_r = 0.9 WHERE strategy_id = 'MGC_ALL'")
    after = calibrated(database).settings[0]

    assert (after.not_calibrated, after.strategies) == (before.not_calibrated + 1, before.strategies - 1)
    assert after.promoted == before.promoted - 1
    assert after.promoted_not_calibrated == before.promoted_not_calibrated + 1


def test_whoever_failed_is_left_out(database: Path) -> None:
    """A strategy whose numbers follow, but which a run fails, has no verdict that worlds could be held against."""
    change(database, "UPDATE experimental_strategies SET win_rate = NULL WHERE strategy_id = 'MGC_ALL'")
    found = calibrated(database)

    assert found.not_calibrated["MGC_ALL"] == "FAILED: would pass, but cannot be promoted: win_rate is NULL"
    assert found.settings[0].strategies == CALIBRATED - 1


def test_an_outcome_that_cannot_be_added_up(database: Path) -> None:
    """Whoever takes it is left out; for the others its day is one that the key was seen on and did not trade."""
    change(
        database,
        "UPDATE orb_outcomes SET outcome = 'win', pnl_r = NULL WHERE rr_target = 1.5 AND trading_day = "
        "(SELECT min(trading_day) FROM daily_features WHERE orb_0900_size < 4)",
    )
    found = calibrated(database)

    unusable = "a win or a loss that it takes has no usable pnl_r"
    assert dict(found.not_calibrated) == LEFT_OUT | {"MGC_ALL": unusable}
    assert len(found.strategies.ids) == CALIBRATED - 1


def test_nothing_is_changed(database: Path) -> None:
    """The file is the same to the last byte, and there is nothing beside it."""
    before = everything_in(database.parent)
    calibrated(database)

    assert everything_in(database.parent) == before


def test_settings_of_several_kinds(database: Path) -> None:
    """Windows and filters of their own make other days of a strategy; each setting says what it says alone."""
    flags = {"no_walkforward": False, "wf_min_trades": 8}
    found = calibrated(database, min_sample=[50, 200], wf_test_months=[6, 12], **flags)

    for setting in found.settings:
        several = {name: getattr(setting.config, name) for name in ("wf_test_months", "min_sample")}
        alone = calibrated(database, **flags, **several).settings[0]
        assert setting.to_dict(found.design, found.last_day) == alone.to_dict(found.design, found.last_day)
        assert np.array_equal(setting.counts, alone.counts)
    assert [setting.config.wf_test_months for setting in found.settings] == [6, 12, 6, 12]


def test_drawdowns_are_an_upper_bound(database: Path) -> None:
    """No world has a path: the gate counts in the data alone, and says so."""
    change(
        database,
        "UPDATE experimental_strategies SET max_drawdown_r = 30 WHERE strategy_id IN ('MGC_ALL', 'MGC_OTHER_MEAN')",
    )
    open_gate, strict = (calibrated(database, max_drawdown=most).settings[0] for most in (None, 10.0))

    assert (open_gate.upper_bound, strict.upper_bound) == (False, True)
    assert strict.promoted < open_gate.promoted
    assert (open_gate.promoted_not_calibrated, strict.promoted_not_calibrated) == (1, 0)
    assert strict.strategies == open_gate.strategies
    assert np.array_equal(strict.counts, open_gate.counts)


@pytest.fixture
def disagreeing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The gates of the worlds say the contrary of so many strategies."""
    agree, contrary = null_worlds.passing_in_data, [0]

    def passing(*args: Any) -> NDArray[np.bool_]:
        found = agree(*args)
        found[:, : contrary[0]] ^= True
        return found

    monkeypatch.setattr(null_worlds, "passing_in_data", passing)
    return contrary


def test_a_few_disagree(disagreeing: list[int], database: Path, called: Command) -> None:
    """Five strategies of which worlds and run say different things are named, and not calibrated."""
    disagreeing[0] = 5
    names = "MGC_ALL, MGC_COSTLY, MGC_FAST, MGC_LARGE, MGC_LARGE_W"
    apart = "the gates of the worlds do not say of its data what the run says"
    ran = called("calibrate", "--db", database, "--workers", 1, "--worlds", 20, "--json", "--no-walkforward")

    assert ran.code == 0
    assert f"warning: not calibrated, because {apart}: {names}\n" in ran.stderr
    [numbers] = ran.summary["calibration"]
    assert numbers["strategies"] == CALIBRATED - 5
    assert numbers["not_calibrated"] == len(LEFT_OUT) + 5
    assert calibrated(database).not_calibrated["MGC_ALL"] == apart


def test_too_many_disagree(disagreeing: list[int], database: Path, called: Command) -> None:
    """More than five, or 1 %, are no exception: the worlds would judge by other gates than the run."""
    disagreeing[0] = 6
    before = everything_in(database.parent)
    ran = called("calibrate", "--db", database, "--workers", 1, "--worlds", 20)

    assert ran.code == 2
    assert "the gates of the worlds disagree with the run about 6 of 11 strategies, needed at most 5" in ran.stderr
    assert "MGC_ALL, MGC_COSTLY" in ran.stderr
    assert everything_in(database.parent) == before


@pytest.mark.parametrize(("count", "most"), [(11, 5), (599, 5), (600, 6), (10_000, 100)])
def test_how_many_may_disagree(count: int, most: int) -> None:
    """Five, or 1 % of the calibrated where that is more."""
    null_worlds._refuse_apart([str(number) for number in range(most)], count)
    with pytest.raises(InputError, match=f"about {most + 1:,} of {count:,} strategies, needed at most {most:,}"):
        null_worlds._refuse_apart([str(number) for number in range(most + 1)], count)


def test_a_gate_that_no_world_can_judge(database: Path, called: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that is on and that worlds do not know would be left out of every count: it is named and refused."""
    unheard = replace(GATES[-1], name="moon_phase", threshold=lambda terms: terms.config.min_win_rate)
    monkeypatch.setattr(gates, "GATES", (*GATES, unheard))
    words = ["calibrate", "--db", database, "--workers", 1, "--worlds", 20]

    ran = called(*words, "--min-win-rate", 0.1)
    assert ran.code == 2
    assert "no world can judge moon_phase; calibrate without the flag that asks for it" in ran.stderr
    assert called(*words).code == 0


def test_a_flag_that_no_world_applies(database: Path) -> None:
    """A rule that worlds leave out would make their number another one than the run's: it is named and refused."""
    with pytest.raises(InputError, match="--era-starts got"):
        calibrated(database, era_starts=(2020, 2024))


@pytest.mark.parametrize(
    ("flag", "value", "needed"),
    [
        ("--worlds", "5", "20 to 100,000"),
        ("--worlds", "100001", "20 to 100,000"),
        ("--worlds", "many", "not a valid integer"),
        ("--block-days", "0.5", "1 to 1e+12 days"),
        ("--block-days", "nan", "a finite number"),
        ("--null-seed", "-1", "zero or more"),
        ("--min-sample", "-3", "zero or more"),
        ("--workers", "0", "x>=1"),
    ],
)
def test_bad_flags(flag: str, value: str, needed: str, database: Path, called: Command) -> None:
    """What nobody could draw is one line that says what is needed."""
    before = everything_in(database.parent)
    ran = called("calibrate", "--db", database, flag, value)

    assert ran.code == 2
    [line] = ran.stderr.splitlines()
    assert flag in line
    assert needed in line
    assert everything_in(database.parent) == before


def test_no_strategies(database: Path, called: Command) -> None:
    """There is nothing to calibrate where none is canonical, or none follows from its outcomes."""
    change(database, "UPDATE experimental_strategies SET sample_size = 77")
    ran = called("calibrate", "--db", database, "--workers", 1, "--worlds", 20)
    change(database, "UPDATE experimental_strategies SET is_canonical = FALSE")
    none = called("calibrate", "--db", database, "--workers", 1, "--worlds", 20)

    assert (ran.code, none.code) == (2, 2)
    assert "dask-validator: no strategy can be calibrated: " in ran.stderr
    assert "has no canonical strategies of MGC; nothing to calibrate" in none.stderr


class Losing(SerialExecutor):
    """Nobody can compute the worlds of one key."""

    def map(self, job: Job[Any, Any]) -> Iterator[Any]:
        """As a cluster whose workers die of it."""
        for task in job.tasks:
            if job.kind == "worlds" and task.piece.keys[0].rr_target == 2:
                yield job.handling.lost(task, "killed 4 workers")
            else:
                yield job.function(task)


def test_a_key_that_nobody_can_compute(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its strategies are not calibrated, and every number is that of the others."""
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))
    monkeypatch.setattr("dask_validator.api.executors.SerialExecutor", Losing)
    found = calibrated(database)
    monkeypatch.undo()
    change(database, "DELETE FROM experimental_strategies WHERE rr_target = 2")
    without = calibrated(database)

    lost = dict.fromkeys(["MGC_MYSTERY", "MGC_NOT_STRICT", "MGC_STRICT"], "killed 4 workers")
    assert dict(found.not_calibrated) == LEFT_OUT | lost
    assert list(found.strategies.ids) == list(without.strategies.ids)
    assert found.counts.tolist() == without.counts.tolist()
    for name in ("luck", "z", "luck_q", "luck_bound", "stepm_p", "maxt_p"):
        assert np.array_equal(getattr(found.strategies, name), getattr(without.strategies, name), equal_nan=True), name
    assert found.spa == without.spa
