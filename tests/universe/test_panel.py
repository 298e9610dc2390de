"""Strategies by day."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from dask_validator.universe import panel as panels
from dask_validator.universe.panel import panel, parts, squared_lengths
from tests.support.panels import dense


def test_a_day_that_pays_nothing_is_still_a_trade() -> None:
    """What decides is that a strategy traded, not what it was paid: a stored 0 stays stored."""
    days = csr_matrix(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.float32))

    found = panel(days, np.array([5.0, 0.0, -7.0]))

    assert np.diff(found.indptr).tolist() == [2, 2]
    assert found.toarray().tolist() == [[5, 0, 0], [0, 0, -7]]
    assert squared_lengths(found).tolist() == [25, 49]


def test_parts_are_all_of_it(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Some rows at a time, the last ones included, in the order asked for, as doubles whatever is stored."""
    monkeypatch.setattr(panels, "AT_ONCE", 2)
    of = dense(np.arange(10).reshape(5, 2)).astype(np.int32)

    assert [part.toarray().tolist() for part in parts(of)] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9]]]
    assert [part.toarray().tolist() for part in parts(of, np.array([4, 0, 2]))] == [[[8, 9], [0, 1]], [[4, 5]]]
    assert {part.dtype for part in parts(of)} == {np.dtype(np.float64)}
    assert list(parts(of, np.array([], dtype=np.int64))) == []
