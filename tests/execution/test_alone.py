"""Tasks that may kill or hang whoever computes them: one after the other in a child process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_validator.errors import InputError, ValidatorError
from dask_validator.execution.alone import alone
from dask_validator.system.interrupts import Insistent

PATIENCE_S = 30.0
KILLED = "killed the process that computed it alone, which {}"


def lost(task: object, reason: str) -> str:
    """What stands for a result: why there is none."""
    return f"lost {task}: {reason}"


def on_two(act: Callable[[], object]) -> Callable[[int], int]:
    """A task that is its own result; number 2 does something first."""

    def task(number: int) -> int:
        if number == 2:
            act()
        return number

    return task


def test_one_child_for_all() -> None:
    """Suspects that are innocent cost one process, not one each, and never run in the process that must survive."""
    [pid] = set(alone(lambda task: os.getpid(), range(50), lost, PATIENCE_S))

    assert pid != os.getpid()
    assert not multiprocessing.active_children()


DEATHS: dict[str, tuple[Callable[[], object], str]] = {
    "signal": (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
    "exit": (lambda: os._exit(7), "ended with exit code 7"),
    "exit as if all were well": (lambda: os._exit(0), "ended with exit code 0"),
    "sys.exit": (lambda: sys.exit(3), "ended with exit code 3"),
}


@pytest.mark.parametrize(("act", "end"), DEATHS.values(), ids=DEATHS)
def test_it_alone_is_lost(act: Callable[[], object], end: str) -> None:
    """The task that ends the child is lost, with how it ended; those before and after it are computed, in order."""
    found = list(alone(on_two(act), [1, 2, 3], lost, PATIENCE_S))

    assert found == [1, f"lost 2: {KILLED.format(end)}", 3]


def test_killed_by_somebody_else(tmp_path: Path) -> None:
    """A child that dies once may have been killed by anybody: its task has another chance."""

    def die_once() -> None:
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    assert list(alone(on_two(die_once), [1, 2, 3], lost, PATIENCE_S)) == [1, 2, 3]
    assert (tmp_path / "died").exists()


def test_a_task_that_hangs(tmp_path: Path) -> None:
    """A task without a result in time is lost at once, as another chance would take as long; the others go on."""

    def hang() -> None:
        with (tmp_path / "hung").open("a") as times:
            times.write("x")
        time.sleep(PATIENCE_S)

    found = list(alone(on_two(hang), [1, 2, 3], lost, 1.0))

    assert found == [1, "lost 2: no result within 1 s (--task-timeout)", 3]
    assert (tmp_path / "hung").read_text() == "x"
    assert not multiprocessing.active_children()


def test_nothing_is_left_running() -> None:
    """A run that is interrupted, or has enough, ends the child whatever that is doing."""
    results = alone(on_two(lambda: time.sleep(PATIENCE_S)), [1, 2, 3], lost, PATIENCE_S)
    assert next(results) == 1
    assert multiprocessing.active_children()
    results.close()  # type: ignore[attr-defined]

    assert not multiprocessing.active_children()


def test_ctrl_c_is_for_the_parent() -> None:
    """A terminal sends Ctrl-C to all processes: the child leaves it to its parent and does not die in words."""
    assert list(alone(on_two(lambda: signal.raise_signal(signal.SIGINT)), [1, 2], lost, PATIENCE_S)) == [1, 2]


def test_sigterm_is_a_death_without_words(capfd: pytest.CaptureFixture[str]) -> None:
    """A batch system that ends all processes makes no traceback in each: the parent says what there is to say."""
    before = signal.signal(signal.SIGTERM, Insistent())  # as the command has it
    try:
        found = list(alone(on_two(lambda: signal.raise_signal(signal.SIGTERM)), [1, 2, 3], lost, PATIENCE_S))
    finally:
        signal.signal(signal.SIGTERM, before)

    assert found == [1, f"lost 2: {KILLED.format('was killed by SIGTERM')}", 3]
    assert capfd.readouterr().err == ""


def refuse() -> None:
    """An error that we know."""
    raise InputError("no such database")


def bottomless() -> object:
    """An error that we do not know."""
    return bottomless()


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [(refuse, InputError, "^no such database$"), (bottomless, ValidatorError, "a task failed")],
)
def test_errors_end_the_run(act: Callable[[], object], kind: type[ValidatorError], words: str) -> None:
    """An error that is not about one strategy is raised here, as the error it was."""
    results = alone(on_two(act), [1, 2, 3], lost, PATIENCE_S)
    assert next(results) == 1
    with pytest.raises(kind, match=words):
        next(results)


def test_a_result_that_cannot_travel() -> None:
    """A defect of ours is an error in one line, not the fault of the strategy."""
    with pytest.raises(ValidatorError, match="a task failed"):
        list(alone(lambda task: lambda: task, [1], lost, PATIENCE_S))


def test_large_results() -> None:
    """Results that no pipe can hold at once arrive."""
    found = list(alone(lambda task: bytes([task]) * 2**21, [1, 2, 3], lost, PATIENCE_S))

    assert found == [bytes([task]) * 2**21 for task in (1, 2, 3)]


def test_death_while_handing_over(tmp_path: Path) -> None:
    """A child that is killed in the middle of a long result, as when memory is short, is a death like any other."""

    def large(task: int) -> bytes:
        if task == 2 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            threading.Timer(0.2, os._exit, [1]).start()  # while nobody reads, the pipe is full
        return bytes([task]) * 2**21

    results = alone(large, [1, 2, 3], lost, PATIENCE_S)
    first = next(results)
    [child] = multiprocessing.active_children()
    child.join(PATIENCE_S)

    assert [first, *results] == [bytes([task]) * 2**21 for task in (1, 2, 3)]
