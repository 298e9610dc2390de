"""Which answers of an earlier run hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dask_validator.filters.conditions import Days
from dask_validator.journal import provenance
from dask_validator.journal.inputs import holds
from dask_validator.model import Answer, Request

EVERY = Days.ALL
SPLIT, WALK, BOTH = (Request("S", *days, 7) for days in ((None, EVERY), (EVERY, None), (EVERY, EVERY)))
HELD_OUT = BOTH._replace(holdout=EVERY)


def answer(request: Request, *, fingerprint: int = 7, **failed: str) -> Answer:
    """One to that question."""
    empty = Answer("S", None, None, None, None, 0.0, fingerprint, asked=request.asked)
    return empty._replace(**failed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked_then", "asked_now", "holds_now"),
    [
        *((BOTH, SPLIT, True), (BOTH, WALK, True), (WALK, BOTH, False), (SPLIT, WALK, False), (SPLIT, SPLIT, True)),
        *((HELD_OUT, WALK, True), (BOTH, HELD_OUT, False)),
    ],
)
def test_an_answer_to_more_is_one_to_less(asked_then: Request, asked_now: Request, holds_now: bool) -> None:
    """With other thresholds less may be asked, which is there, or more, which is not."""
    assert holds(answer(asked_then), asked_now) is holds_now


@pytest.mark.parametrize("part", ["error", "split_error", "lost"])
def test_a_failure_is_of_its_own_question(part: str) -> None:
    """Who has failed at one question may have an answer to another one."""
    assert holds(answer(BOTH, **{part: "no"}), BOTH)
    assert not holds(answer(BOTH, **{part: "no"}), SPLIT)


def test_a_changed_row_has_no_answer() -> None:
    """The fingerprint is of the row that was asked about."""
    assert not holds(answer(WALK, fingerprint=8), WALK)


def test_the_source_of_the_rules_is_what_workers_compute_with() -> None:
    """A change of any module of the rules that a worker imports makes answers invalid; one of the gates does not."""
    imported = "import sys, dask_validator.work.walkforward, dask_validator.sources.orb_outcomes"
    code = f"{imported}; print(*sorted(name for name in sys.modules if '.rules.' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == {f"dask_validator.rules.{name}" for name in provenance._FACTS}
