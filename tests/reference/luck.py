"""What worlds say of promotions: every definition of statistics.md, section 6, counted one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

NOTHING = -math.inf  # in place of a deviate that is not defined


class Counted(NamedTuple):
    """Section 6.1."""

    mean: float
    q05: float
    q50: float
    q95: float
    sd: float
    p_value: float
    shares: tuple[float, float, float] | tuple[None, None, None]


def quantile(values: Sequence[float], q: float) -> float:
    """Linear between the two values that it lies between."""
    ascending = sorted(values)
    place = q * (len(ascending) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])


def quantile_higher(values: Sequence[float], q: float) -> float:
    """The higher one of those two."""
    return sorted(values)[math.ceil(q * (len(values) - 1))]


def counted(promoted: int, worlds: Sequence[int]) -> Counted:
    """Promotions beside those of the worlds."""
    mean = sum(worlds) / len(worlds)
    q05, q50, q95 = (quantile(worlds, q) for q in (0.05, 0.5, 0.95))
    sd = math.sqrt(sum((number - mean) ** 2 for number in worlds) / len(worlds))
    p_value = (1 + len([number for number in worlds if number >= promoted])) / (1 + len(worlds))
    if not promoted:
        return Counted(mean, q05, q50, q95, sd, p_value, (None, None, None))
    shares = (min(1.0, mean / promoted), min(1.0, q05 / promoted), min(1.0, q95 / promoted))
    return Counted(mean, q05, q50, q95, sd, p_value, shares)


def ranked(z: Mapping[str, float], false: Mapping[str, float]) -> dict[str, float]:
    """False ones over rank, by strength; ties take the largest rank; the running minimum from the weakest up."""
    share = {name: min(1.0, false[name] / len([other for other in z.values() if other >= z[name]])) for name in z}
    return {name: min(share[other] for other in z if z[other] <= z[name]) for name in z}


def luck_q(z: Mapping[str, float], promoted_in: Sequence[Sequence[float]]) -> dict[str, float]:
    """Section 6.4; by world, the deviates of the strategies that it promotes."""
    reached = {name: sum(other >= z[name] for world in promoted_in for other in world) for name in z}
    return ranked(z, {name: (1 + count) / (1 + len(promoted_in)) for name, count in reached.items()})


def luck_bound(z: Mapping[str, float], promoted_in: Sequence[Sequence[float]]) -> dict[str, float]:
    """Section 6.4, with the 0.95 quantile over worlds in place of the mean."""
    counts = {name: [sum(other >= z[name] for other in world) for world in promoted_in] for name in z}
    return ranked(z, {name: quantile_higher(count, 0.95) for name, count in counts.items()})


def exceeding(values: Sequence[float], observed: float) -> float:
    """The p-value of what is observed among worlds."""
    return (1 + len([value for value in values if value >= observed])) / (1 + len(values))


def step_down(z: Mapping[str, float], worlds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """StepM (section 6.5); a world has more strategies than can be rejected, which enter its maxima only."""
    found: dict[str, float] = {}
    before: set[str] = set()
    highest = 0.0
    for name in sorted(z, key=lambda name: -z[name]):
        maxima = [max([NOTHING, *(world[other] for other in world if other not in before)]) for world in worlds]
        highest = max(highest, exceeding(maxima, z[name]))
        found[name] = highest
        before.add(name)
    return found


def of_the_maximum(z: Mapping[str, float], worlds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """max-t (section 6.5)."""
    maxima = [max([NOTHING, *world.values()]) for world in worlds]
    return {name: exceeding(maxima, z[name]) for name in z}


def best(z: Mapping[str, float], shifts: Mapping[str, float], worlds: Sequence[Mapping[str, float]]) -> float:
    """SPA of the best under one null (section 6.6)."""
    observed = max([0.0, *z.values()])
    return exceeding([max([0.0, *(world[name] + shifts[name] for name in world)]) for world in worlds], observed)
