"""Phase 10."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from dask_validator.config import RunConfig
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.rules.gates import GATES, HELD
from dask_validator.rules.screening import Market, screen
from tests.reference.eras import has_era_of_losses
from tests.reference.settings import Settings
from tests.rules.strategies import yearly_jsons
from tests.rules.test_screening import EMPTY

CONFIGS = st.builds(
    RunConfig,
    era_starts=st.sampled_from([(2017, 2019), (2016, 2018, 2020, 2022), (2019, 2030)]),
    era_min_trades=st.sampled_from([0, 1, 30, 60]),
    era_min_exp=st.sampled_from([-0.05, 0.0, 0.1]),
    wf_first_day=st.sampled_from([None, date(2018, 7, 1), date(2021, 1, 1)]),
    min_sample=st.just(0),
)


@given(yearly_jsons(), CONFIGS)
def test_equals_the_slow_twin(yearly: str | None, config: RunConfig) -> None:
    """An era rejects, before anything else does, where a plain loop over the years says so."""
    market = Market(KNOWN_COSTS["MGC"], {})
    row = EMPTY._replace(strategy_id="S", yearly_results=yearly)

    [gate] = screen([row], market.terms(config), market).gate.tolist()

    assert (gate != HELD and GATES[gate].phase == 10) == has_era_of_losses(yearly, Settings.of(config))


def test_rows_that_it_is_not_for() -> None:
    """A row that the gate is not for is not judged by its eras, however bad they are."""
    market = Market(KNOWN_COSTS["MGC"], {})
    config = RunConfig(era_starts=(2019, 2021), min_sample=0)
    row = EMPTY._replace(strategy_id="S", yearly_results='{"2020": {"trades": 99, "avg_r": -1.0}}')

    gates = screen([row, row._replace(is_gated=False)], market.terms(config), market).gate.tolist()

    assert [GATES[gate].phase for gate in gates] == [10, 2]
