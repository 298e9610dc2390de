"""P-values corrected within families."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator.errors import InputError
from dask_validator.rules.families import Family, corrected, doubts_about_tests
from tests.reference import families as twin
from tests.reference.settings import Settings

P_VALUES = st.one_of(st.sampled_from([0.0, 0.01, 0.04, 0.05, 1.0]), st.floats(0, 1))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "orb_label": st.sampled_from(["A", "B", ""]),
            "p_value": P_VALUES,
            "expectancy_r": st.sampled_from([0.1, 0.0, -0.1, float("nan"), None]),
        }
    ),
    max_size=40,
)


def family_of(rows: list[dict[str, Any]]) -> Family:
    """The rows as columns."""
    columns = ([row[name] for row in rows] for name in ("strategy_id", "orb_label", "p_value", "expectancy_r"))
    ids, groups, p_values, expectancies = columns
    numbers = [np.nan if r is None else r for r in expectancies]
    return Family(np.array(ids, object), np.array(groups, object), np.array(p_values, float), np.array(numbers, float))


@given(ROWS, st.sampled_from(["bh", "by", "raw"]), st.sampled_from([1, 2]), st.sampled_from([None, 40, 5000]))
def test_equals_the_slow_twin(rows: list[dict[str, Any]], method: Any, sides: int, k: int | None) -> None:
    """Every adjusted p-value and number of tests equals a plain ranking of each group, ties included."""
    shared = {"instrument": "MGC", "is_canonical": True}
    rows = [{**row, **shared, "strategy_id": f"S{number:02}"} for number, row in enumerate(rows)]
    tests = {} if k is None else {"A": k}
    settings = Settings(fdr_method=method, fdr_sides=sides, fdr_group_by=("orb_label",), fdr_k=tests)

    found = corrected(family_of(rows), method, sides, tests)

    ids = [row["strategy_id"] for row in rows]
    values = map(twin.InFamily, found.p_values.tolist(), found.tests.tolist())
    assert dict(zip(ids, values, strict=True)) == twin.families(rows, settings, "MGC")


def test_more_strategies_than_tests() -> None:
    """A number of tests that is smaller than the family is refused, not used."""
    rows = [{"strategy_id": name, "orb_label": "A", "p_value": 0.1, "expectancy_r": 0.1} for name in "ab"]
    with pytest.raises(InputError, match="needed at least 2"):
        corrected(family_of(rows), "bh", 2, {"A": 1})


def test_numbers_of_tests_for_other_groups_are_doubted() -> None:
    """A slip in the name of a group would make the gate laxer than asked: it is said, and what is counted instead."""
    rows = [{"strategy_id": "S", "orb_label": label, "p_value": 0.01, "expectancy_r": 0.1} for label in "AB"]
    [doubt] = doubts_about_tests(family_of(rows), {"A": 40, "C": 40})

    assert "names 'C', where no p-value is" in doubt
    assert "lacks 'B', where the p-values are counted" in doubt
    assert doubts_about_tests(family_of(rows), {"A": 40, "B": 40}) == doubts_about_tests(family_of(rows), {}) == []
