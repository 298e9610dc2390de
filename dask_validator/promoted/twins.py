"""Twins: strategies that win and lose the same on the same days, hence are one result under several names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dask_validator.model import Outcomes


class Twins(NamedTuple):
    """Strategies with the same wins and losses; one alone is a group too."""

    members: tuple[str, ...]  # strategy_ids, ascending
    trades: int  # wins and losses of each

    @property
    def representative(self) -> str:
        """The first by name: which one stands for all must not depend on what is looked at."""
        return self.members[0]


def twins(counted: Iterable[tuple[str, Outcomes]]) -> list[Twins]:
    """Groups of strategies whose sequences of (day, result) are equal, the largest group first, then by name.

    Parameters
    ----------
    counted
        By `strategy_id`, wins and losses in the order in which they are added up; results without NaN.
    """
    alike: dict[bytes, list[tuple[Outcomes, list[str]]]] = {}
    for strategy_id, outcomes in counted:
        groups = alike.setdefault(_digest(outcomes), [])
        for known, members in groups:
            if _equal(known, outcomes):
                members.append(strategy_id)
                break
        else:
            groups.append((outcomes, [strategy_id]))
    found = (Twins(tuple(sorted(members)), of.days.size) for groups in alike.values() for of, members in groups)
    return sorted(found, key=lambda group: (-len(group.members), group.representative))


def _digest(outcomes: Outcomes) -> bytes:
    results = outcomes.pnl_r + 0.0  # -0.0 is 0.0
    return hashlib.blake2b(outcomes.days.tobytes() + results.tobytes(), digest_size=16).digest()


def _equal(some: Outcomes, others: Outcomes) -> bool:
    return np.array_equal(some.days, others.days) and np.array_equal(some.pnl_r, others.pnl_r)
