"""What statistics over all strategies of an instrument say of some of them: the facts of phase 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.rules.gates import GATES, OF_UNIVERSE

# Beside what gates observe, what is only shown: normal deviate, that of the test windows alone, share of worlds that
# promote, share of luck on average.
SHOWN = ("z", "z_stitched", "luck", "luck_q")
ASKED = tuple(gate.name for gate in (GATES[position] for position in OF_UNIVERSE) if gate.of_others)
TESTS = "fdr_tests"  # that the corrected p is corrected for
COLUMNS = (*ASKED, *SHOWN, TESTS)
WEAK = "z is not above 1.645: no weaker one can be told from luck"


class OfAll(NamedTuple):
    """Columns by name, each of shape (n_strategies,), NaN where nothing is known; names are those of COLUMNS."""

    ids: Sequence[str]
    columns: Mapping[str, NDArray[np.float64]]

    def about(self, ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """All columns for these strategies, in their order."""
        place = {strategy_id: i for i, strategy_id in enumerate(self.ids)}
        rows = np.array([place.get(strategy_id, -1) for strategy_id in ids], dtype=np.int64)
        unknown = np.full(len(ids), np.nan)
        found = {name: np.append(column, np.nan)[rows] for name, column in self.columns.items()}
        return {name: found.get(name, unknown) for name in COLUMNS}


NOTHING = OfAll((), {})
