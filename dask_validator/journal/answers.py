"""Answers as JSON and back, every digit kept; strategies that share a walk-forward share its record."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from dask_validator.journal.checked import check_rows
from dask_validator.model import WINDOW_TABLE, Answer, Holdout, SeasonSplit, Walked, check_days, check_windows

Record = dict[str, Any]
_PARTS = {SeasonSplit: itemgetter(Answer._fields.index("split")), Holdout: itemgetter(Answer._fields.index("holdout"))}
_WINDOWS = Walked._fields.index("windows")


def encode(answers: Sequence[Answer]) -> Record:
    """Answers of one task as lists of plain values; all windows are one block of bytes."""
    walked = {id(answer.walkforward): answer.walkforward for answer in answers if answer.walkforward is not None}
    position = {identity: i for i, identity in enumerate(walked)}
    tables = [facts.windows for facts in walked.values()]
    return {
        "answers": [
            answer._replace(walkforward=position.get(id(answer.walkforward)))  # type: ignore[arg-type]
            for answer in answers
        ],
        "walkforwards": [facts._replace(windows=len(facts.windows)) for facts in walked.values()],  # type: ignore[arg-type]
        "windows": base64.b64encode(b"".join(table.tobytes() for table in tables)).decode(),
    }


def decode(record: Record) -> Iterator[Answer]:
    """The answers that were encoded. Raises one of `checked.UNSOUND` for what is no answer."""
    check_rows(Answer, record["answers"])
    for kind, part_of in _PARTS.items():
        check_rows(kind, [part for part in map(part_of, record["answers"]) if part is not None])
    walked = _walkforwards(record)
    for values in record["answers"]:
        answer = Answer(*values)
        yield answer._replace(
            walkforward=None if answer.walkforward is None else walked[answer.walkforward],  # type: ignore[call-overload]
            split=None if answer.split is None else SeasonSplit(*answer.split),
            holdout=None if answer.holdout is None else Holdout(*answer.holdout),
        )


def _walkforwards(record: Record) -> list[Walked]:
    check_rows(Walked, record["walkforwards"])
    windows = np.frombuffer(base64.b64decode(record["windows"]), dtype=WINDOW_TABLE)
    bounds = [0, *accumulate(int(values[_WINDOWS]) for values in record["walkforwards"])]
    if len(windows) != bounds[-1]:
        raise ValueError("windows are missing, or too many")
    facts = (Walked(*values) for values in record["walkforwards"])
    return [
        each._replace(windows=windows[start:end]) for each, (start, end) in zip(facts, pairwise(bounds), strict=True)
    ]


def check_sense(answers: Iterable[Answer]) -> None:
    """Refuse what has the types of an answer, but counts below zero or days that no calendar has."""
    walked = {id(answer.walkforward): answer.walkforward for answer in answers if answer.walkforward is not None}
    if any(facts.outcomes < 0 or facts.trade_days < 0 for facts in walked.values()):
        raise ValueError("outcomes")
    check_days([day for facts in walked.values() for day in (facts.first_day, facts.last_day)])
    held_out = [answer.holdout for answer in answers if answer.holdout is not None]
    if any(holdout.trades < 0 or (holdout.trades == 0) is not (holdout.exp_r is None) for holdout in held_out):
        raise ValueError("holdout")
    check_windows([facts.windows for facts in walked.values()])
