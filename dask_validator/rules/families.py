"""P-values corrected for each other within families of strategies (rules.md, section 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.config import FdrMethod
from dask_validator.errors import InputError
from dask_validator.rules.fdr import adjusted_p_values, one_sided


class Family(NamedTuple):
    """The strategies whose p-values are corrected for each other; columns of shape (n_strategies,)."""

    ids: NDArray[np.object_]
    groups: NDArray[np.object_]  # text: strategies of one group are a family
    p_values: NDArray[np.float64]  # two-sided, no NaN
    expectancies: NDArray[np.float64]  # mean R, NaN where it is unknown


class Corrected(NamedTuple):
    """What becomes of each of them, in the same order."""

    p_values: NDArray[np.float64]  # adjusted, unrounded
    tests: NDArray[np.int64]  # that they are corrected for


def doubts_about_tests(family: Family, tests: Mapping[str, int]) -> list[str]:
    """A sentence where numbers of tests are given for groups that are not there, or not for some that are."""
    if not tests:
        return []
    there = {*map(str, family.groups)}
    strange, lacking = sorted(tests.keys() - there), sorted(there - tests.keys())
    said = [f"names {', '.join(map(repr, strange))}, where no p-value is"] if strange else []
    said += [f"lacks {', '.join(map(repr, lacking))}, where the p-values are counted"] if lacking else []
    return [f"--fdr-k-file {' and '.join(said)}"] if said else []


def corrected(family: Family, method: FdrMethod, sides: int, tests: Mapping[str, int]) -> Corrected:
    """Correct each group by itself.

    Parameters
    ----------
    sides
        2: p as it is; 1: against "the mean is not above zero".
    tests
        By group, how many there were, where that is known to be more than there are strategies.

    Raises
    ------
    InputError
        A group has more strategies than tests.
    """
    p_values = family.p_values if sides == 2 else one_sided(family.p_values, family.expectancies)
    names, of_each = np.unique(family.groups.astype(str), return_inverse=True)
    adjusted, sizes = np.empty(p_values.size), np.empty(p_values.size, dtype=np.int64)
    for position, name in enumerate(names.tolist()):
        rows = np.flatnonzero(of_each == position)
        count = tests.get(name, rows.size)
        if count < rows.size:
            of = f" of {name}" if name else ""
            raise InputError(f"--fdr-k-file says {count:,} tests{of}; needed at least {rows.size:,}: so many p-values")
        adjusted[rows] = adjusted_p_values(p_values[rows], method, count)
        sizes[rows] = 1 if method == "raw" else count
    return Corrected(adjusted, sizes)
