"""Which past day each day of a world takes its payoffs from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dask_validator.universe.simulation import draws
from dask_validator.universe.worlds import Design, era_of, era_starts, source_days
from tests.reference import null_worlds as twin

DAYS = 1_040  # as few as have three eras and then some


def of_world(world: int, *, days: int = DAYS, block_days: float = 5.0, seed: int = 7) -> list[int]:
    """One world, alone."""
    return source_days(Design(block_days=block_days, seed=seed), days, world, 1)[:, 0].tolist()


def test_draws_by_hand() -> None:
    """Six days, seed 7, blocks of two days: the first two worlds, as recorded."""
    assert of_world(0, days=6, block_days=2) == [5, 0, 1, 4, 0, 1]
    assert of_world(1, days=6, block_days=2) == [5, 5, 2, 1, 1, 2]


def test_a_block_without_end() -> None:
    """Blocks as long as the past go on from any day, and after the last with the first."""
    steps = np.diff(of_world(3, days=100, block_days=1e12))

    assert set(steps.tolist()) == {1, 1 - 100}


def test_a_world_alone_is_that_world_of_many() -> None:
    """A world depends on the seed and its own number, not on those drawn beside it."""
    many = source_days(Design(seed=7), DAYS, 0, 6)

    assert many.T.tolist() == [of_world(world) for world in range(6)]
    assert of_world(2) != of_world(2, seed=8)
    assert of_world(2) != of_world(3)


@pytest.mark.parametrize(
    ("days", "starts"),
    [(1, [0]), (498, [0]), (499, [0, 249]), (996, [0, 498]), (997, [0, 498, 747]), (2_608, [0, 1_304, 1_956])],
)
def test_eras(days: int, starts: list[int]) -> None:
    """The second half and the last quarter draw from themselves, where that leaves 250 days to draw from."""
    assert era_starts(days) == starts
    assert era_of(days)[starts].tolist() == list(range(len(starts)))


def test_late_days_draw_from_late_days() -> None:
    """A key that was recorded only in late years meets the others on the same source days."""
    world = np.array(of_world(0))
    eras = era_of(DAYS)

    assert (world >= np.array(era_starts(DAYS))[eras]).all()
    assert (world[eras == 0] > max(era_starts(DAYS))).any()


@pytest.mark.parametrize("block_days", [1.0, 5.0])
def test_draws_are_those_of_the_twin(block_days: float) -> None:
    """Every day of three eras, with and without blocks."""
    expected = twin.source_days(twin.Worlds(1, 11, block_days), 4, DAYS)

    assert of_world(4, block_days=block_days, seed=11) == [day for _, day in expected]
    assert era_of(DAYS).tolist() == [era for era, _ in expected]


@pytest.mark.parametrize("at_once", [64, 100, 256])
def test_lots_of_worlds(at_once: int) -> None:
    """However many worlds are computed at once, they are the same, and each comes once."""
    design, days = Design(worlds=130, seed=7), 600

    def of_lots(lots: int) -> NDArray[np.int64]:
        found = list(draws(design, days, lots))
        assert [drawn.worlds.start for drawn in found] == list(range(0, design.worlds, lots))
        return np.concatenate([drawn.sources for drawn in found], axis=1)

    assert np.array_equal(of_lots(at_once), of_lots(design.worlds))
    assert np.array_equal(of_lots(at_once) % days, source_days(design, days, 0, design.worlds))
