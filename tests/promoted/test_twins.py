"""Twins, by comparing each with each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.model import LOSS, WIN, Outcomes
from dask_validator.promoted import twins as module
from dask_validator.promoted.twins import twins

SEQUENCES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-1.0, 1.0, 0.0, -0.0])), max_size=3)


def outcomes(sequence: list[tuple[int, float]]) -> Outcomes:
    """Wins and losses of these days."""
    days, results = np.array([day for day, _ in sequence]), np.array([r for _, r in sequence], dtype=np.float64)
    return Outcomes(days.astype(np.int32), np.where(results > 0, WIN, LOSS).astype(np.uint8), results)


def slowly(named: dict[str, list[tuple[int, float]]]) -> list[tuple[str, ...]]:
    """Each compared with the first of every group."""
    groups: list[list[str]] = []
    for name in sorted(named):
        for group in groups:
            if named[group[0]] == named[name]:
                group.append(name)
                break
        else:
            groups.append([name])
    return sorted(map(tuple, groups), key=lambda group: (-len(group), group[0]))


@pytest.mark.parametrize("colliding", [False, True])
@given(st.lists(SEQUENCES, max_size=8))
def test_groups(colliding: bool, sequences: list[list[tuple[int, float]]]) -> None:
    """Equal days and results are one group, 0 and -0 too, also where all hashes are the same."""
    named = {f"S{i}": sequence for i, sequence in enumerate(sequences)}
    with pytest.MonkeyPatch.context() as patch:
        if colliding:
            patch.setattr(module, "_digest", lambda of: b"")
        found = twins((name, outcomes(sequence)) for name, sequence in reversed(named.items()))

    assert [group.members for group in found] == slowly(named)
    assert [group.trades for group in found] == [len(named[group.representative]) for group in found]
