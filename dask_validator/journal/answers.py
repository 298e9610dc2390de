"""Answers as JSON and back, every digit kept; strategies that share a walk-forward share its record."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from dask_validator.model import WINDOW_TABLE, Answer, Gate, SeasonSplit, WalkforwardResult

Record = dict[str, Any]


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
    """The answers that were encoded."""
    judged = _walkforwards(record)
    for values in record["answers"]:
        answer = Answer(*values)
        yield answer._replace(
            walkforward=None if answer.walkforward is None else judged[answer.walkforward],  # type: ignore[call-overload]
            split=None if answer.split is None else SeasonSplit(*answer.split),
        )


def _walkforwards(record: Record) -> list[WalkforwardResult]:
    results = [WalkforwardResult(*values) for values in record["walkforwards"]]
    windows = np.frombuffer(base64.b64decode(record["windows"]), dtype=WINDOW_TABLE)
    bounds = pairwise(accumulate((result.window_table for result in results), initial=0))
    return [
        result._replace(failed=None if result.failed is None else Gate(*result.failed), window_table=windows[start:end])
        for result, (start, end) in zip(results, bounds, strict=True)
    ]
