"""Answers as JSON keep every digit."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.journal.answers import decode, encode
from dask_validator.model import WINDOW_TABLE, Answer, Gate, SeasonSplit, WalkforwardResult

WHOLE = st.integers(-(2**31), 2**31 - 1)


NUMBERS = st.floats() | WHOLE


GATES = st.builds(Gate, WHOLE, st.text(), NUMBERS, NUMBERS, st.booleans(), st.text())


WINDOWS = st.lists(st.tuples(WHOLE, WHOLE, WHOLE, st.floats(), st.floats(), st.floats(), st.booleans()), max_size=4)


WALKFORWARDS = st.builds(
    WalkforwardResult,
    *(WHOLE, WHOLE, WHOLE, st.floats(), st.floats(), WHOLE),
    st.none() | GATES,
    WINDOWS.map(lambda rows: np.array(rows, dtype=WINDOW_TABLE)),
    st.none() | st.floats(),
    st.booleans(),
)


SPLITS = st.builds(SeasonSplit, *(st.none() | kind for kind in (WHOLE, st.floats(), WHOLE, st.floats(), st.text())))


TEXTS = st.none() | st.text()


@st.composite
def tasks_answers(draw: st.DrawFn) -> list[Answer]:
    """Answers of one task, of which some share their walk-forward."""
    shared = st.sampled_from([None, *draw(st.lists(WALKFORWARDS, max_size=3))])
    fingerprints = st.integers(0, 2**64 - 1)
    answer = st.builds(Answer, st.text(), shared, st.none() | SPLITS, TEXTS, TEXTS, st.floats(), fingerprints, TEXTS)
    return draw(st.lists(answer, max_size=5))


def spelled_out(answers: Sequence[Answer]) -> list[object]:
    """All that answers say, as text: so NaN equals NaN, and 1 is not 1.0."""
    walked = [answer.walkforward for answer in answers]
    tables = [None if w is None else (w.window_table.dtype, w.window_table.tobytes()) for w in walked]
    numbers = [None if w is None else repr(w._replace(window_table=None)) for w in walked]  # type: ignore[arg-type]
    together = [[a is b for a in walked] for b in walked]
    return [[repr(answer._replace(walkforward=None)) for answer in answers], numbers, tables, together]


@given(tasks_answers())
def test_answers_keep_every_digit(answers: list[Answer]) -> None:
    """What is taken over is what was computed, to the last bit, and what was shared is shared again."""
    assert spelled_out(list(decode(json.loads(json.dumps(encode(answers)))))) == spelled_out(answers)
