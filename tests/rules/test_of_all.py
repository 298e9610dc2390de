"""The facts of phase 7 stand beside the strategies that they are of."""

from __future__ import annotations

import numpy as np

from dask_validator.rules.of_all import COLUMNS, OfAll


def test_who_is_not_known_has_no_numbers() -> None:
    """Each strategy gets its own number in whatever order it is asked for, a strange one none, nor any other's."""
    known = OfAll(["a", "b"], {"luck_bound": np.array([0.25, 0.5])})
    about = known.about(["strange", "b", "a"])

    assert list(about) == list(COLUMNS)
    np.testing.assert_array_equal(about["luck_bound"], [np.nan, 0.5, 0.25])
    assert np.isnan(about["stepm_p"]).all()
