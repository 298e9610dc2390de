"""Answers as JSON keep every digit."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.journal.answers import decode, encode
from dask_validator.model import WINDOW_TABLE, Answer, Holdout, SeasonSplit, Walked

WHOLE = st.integers(-(2**31), 2**31 - 1)


WINDOWS = st.lists(st.tuples(WHOLE, WHOLE, WHOLE, *[st.floats()] * 4), max_size=4)


TABLES = WINDOWS.map(lambda rows: np.array(rows, dtype=WINDOW_TABLE))
WALKED = st.builds(Walked, WHOLE, TABLES, WHOLE, WHOLE, WHOLE)


SPLITS = st.builds(SeasonSplit, *(st.none() | kind for kind in (WHOLE, st.floats(), WHOLE, st.floats(), st.text())))


HOLDOUTS = st.none() | st.builds(Holdout, WHOLE, st.none() | st.floats())


TEXTS = st.none() | st.text()


@st.composite
def tasks_answers(draw: st.DrawFn) -> list[Answer]:
    """Answers of one task, of which some share their walk-forward."""
    shared = st.sampled_from([None, *draw(st.lists(WALKED, max_size=3))])
    fingerprints = st.integers(0, 2**64 - 1)
    row = (st.floats(), fingerprints, TEXTS, st.integers(0, 3))
    answer = st.builds(Answer, st.text(), shared, st.none() | SPLITS, TEXTS, TEXTS, *row, HOLDOUTS)
    return draw(st.lists(answer, max_size=5))


def spelled_out(answers: Sequence[Answer]) -> list[object]:
    """All that answers say, as text: so NaN equals NaN, and 1 is not 1.0."""
    walked = [answer.walkforward for answer in answers]
    tables = [None if w is None else (w.windows.dtype, w.windows.tobytes()) for w in walked]
    numbers = [None if w is None else w._replace(windows=None) for w in walked]  # type: ignore[arg-type]
    together = [[a is b for a in walked] for b in walked]
    return [[repr(answer._replace(walkforward=None)) for answer in answers], numbers, tables, together]


@given(tasks_answers())
def test_answers_keep_every_digit(answers: list[Answer]) -> None:
    """What is taken over is what was computed, to the last bit, and what was shared is shared again."""
    assert spelled_out(list(decode(json.loads(json.dumps(encode(answers)))))) == spelled_out(answers)
