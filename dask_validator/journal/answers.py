"""Answers as JSON and back, every digit kept; strategies that share a walk-forward share its record."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from dask_validator.journal.checked import check_rows
from dask_validator.model import EPOCH, WINDOW_TABLE, Answer, Gate, SeasonSplit, WalkforwardResult
from dask_validator.rules.notes import reason

Record = dict[str, Any]
WALKFORWARD = 6  # its phase
FIRST, LAST = (date.min - EPOCH).days, (date.max - EPOCH).days  # that a calendar has
_SPLIT = itemgetter(Answer._fields.index("split"))
_WINDOWS = WalkforwardResult._fields.index("window_table")


def encode(answers: Sequence[Answer]) -> Record:
    """Answers of one task as lists of plain values; all windows are one block of bytes."""
    judged = {id(answer.walkforward): answer.walkforward for answer in answers if answer.walkforward is not None}
    position = {identity: i for i, identity in enumerate(judged)}
    tables = [result.window_table for result in judged.values()]
    return {
        "answers": [
            answer._replace(walkforward=position.get(id(answer.walkforward)))  # type: ignore[arg-type]
            for answer in answers
        ],
        "walkforwards": [result._replace(window_table=len(result.window_table)) for result in judged.values()],  # type: ignore[arg-type]
        "windows": base64.b64encode(b"".join(table.tobytes() for table in tables)).decode(),
    }


def decode(record: Record) -> Iterator[Answer]:
    """The answers that were encoded. Raises one of `checked.UNSOUND` for what is no answer."""
    check_rows(Answer, record["answers"])
    check_rows(SeasonSplit, [split for split in map(_SPLIT, record["answers"]) if split is not None])
    judged = _walkforwards(record)
    for values in record["answers"]:
        answer = Answer(*values)
        yield answer._replace(
            walkforward=None if answer.walkforward is None else judged[answer.walkforward],  # type: ignore[call-overload]
            split=None if answer.split is None else SeasonSplit(*answer.split),
        )


def _walkforwards(record: Record) -> list[WalkforwardResult]:
    check_rows(WalkforwardResult, record["walkforwards"])
    results = [WalkforwardResult(*values) for values in record["walkforwards"]]
    check_rows(Gate, [result.failed for result in results if result.failed is not None])
    windows = np.frombuffer(base64.b64decode(record["windows"]), dtype=WINDOW_TABLE)
    bounds = [0, *accumulate(int(values[_WINDOWS]) for values in record["walkforwards"])]
    if len(windows) != bounds[-1]:
        raise ValueError("windows are missing, or too many")
    return [
        result._replace(failed=None if result.failed is None else Gate(*result.failed), window_table=windows[start:end])
        for result, (start, end) in zip(results, pairwise(bounds), strict=True)
    ]


def check_sense(answers: Iterable[Answer]) -> None:
    """Refuse what has the types of an answer, but no words for its gate or days that no calendar has."""
    judged = {id(answer.walkforward): answer.walkforward for answer in answers if answer.walkforward is not None}
    for result in judged.values():
        if result.failed is not None and not (result.failed.phase == WALKFORWARD and reason(result.failed)):
            raise ValueError(result.failed.name)
    tables = [result.window_table for result in judged.values()]
    for name in ("start", "end"):
        days = np.concatenate([table[name] for table in tables]) if tables else np.empty(0)
        if days.size and not (days.min() >= FIRST and days.max() <= LAST):
            raise ValueError(name)
