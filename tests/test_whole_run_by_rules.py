"""Generated databases with the newest columns, validated by rules of any kind and by the slow twin: all is equal."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator import RunConfig, validate
from dask_validator.config import Promotion
from dask_validator.config.promotion import GatesOnly
from tests.recorded import same
from tests.reference.rules_file import promotion
from tests.reference.screening import COSTS
from tests.reference.settings import Settings
from tests.reference.validate import validate as twin
from tests.reference.written import names_of
from tests.support.newest import newest_database
from tests.test_whole_run import compare_lines, compare_verdicts

NAN = float("nan")
FILTERS: list[tuple[str | None, str | None]] = [
    ("NO_FILTER", None),
    ("ORB_G4", '{"filter_type": "ORB_G4", "min_size": 4.0, "max_size": null}'),
    ("COST_LT15", None),
    ("X", '{"base": {"min_size": 4.0}, "overlay": {"skip_days": [0, 4]}}'),
    ("X", '{"direction": "short"}'),
    ("X", '{"max_delay_min": 5}'),
    ("X", '{"zigzag": 1}'),
    ("ORB_G4", "[]"),
    (None, None),
]
YEARS = {
    "2021": {"trades": 66, "avg_r": 0.5},
    "2022": {"trades": 66, "avg_r": 0.4},
    "2023": {"trades": 66, "avg_r": 0.3},
}
YEARLY = [YEARS, {**YEARS, "2020": {"trades": 0, "avg_r": 0.0}}, {**YEARS, "2021": {"trades": 66, "avg_r": -0.2}}]
ROWS = st.fixed_dictionaries(
    {
        "orb_label": st.sampled_from(["0900", "0900", "1000", "NOWHERE"]),
        "filter": st.sampled_from(FILTERS),
        "is_canonical": st.sampled_from([True, True, True, False, None]),
        "p_value": st.sampled_from([None, NAN, 0.001, 0.02, 0.02, 0.04, 0.9]),
        "expectancy_r": st.sampled_from([0.5, 0.5, 0.5, NAN, None, 0.9]),
        "sample_size": st.sampled_from([200, 200, 99, None]),
        "yearly_results": st.sampled_from([*map(json.dumps, YEARLY), "{"]),
        "validation_status": st.sampled_from([None, None, "", "PASSED"]),
        "stop_multiplier": st.sampled_from([1.0, 1.0, 0.75, 0.75, None, 0.0, -1.0, NAN]),
        "validation_mode": st.sampled_from([None, "", "STANDARD", "RESEARCH", "research"]),
        "hypothesis_file_sha": st.sampled_from([None, "x", "x"]),
        "created_at": st.sampled_from([datetime(2026, 4, 8, tzinfo=UTC), datetime(2026, 4, 9, tzinfo=UTC)]),
        "n_trials_at_discovery": st.sampled_from([None, 700]),
        "sharpe_ann": st.sampled_from([2.5, None, 0.0]),
        "suffix": st.sampled_from(["", "_S075", "_W", "_S075_S"]),
    }
)
OUTCOMES: Mapping[str, Mapping[str, Any]] = {
    "month(trading_day) < 13": {"entry_price": 100.0, "stop_price": 90.0, "mae_r": 0.2},
    "day(trading_day) = 5": {"mae_r": 0.75 * 10 * 10 / (10 * 10 + 8.4)},
    "day(trading_day) = 6": {"mae_r": 0.9},
    "day(trading_day) = 7": {"mae_r": NAN},
    "day(trading_day) = 8": {"mae_r": 2.0, "entry_price": None},
    "day(trading_day) = 9": {"mae_r": 2.0, "stop_price": 100.0},
}
TABLE = {
    "copy": ["p_value", "skewness"],
    "constants": {"promotion_provenance": "NATIVE", "deployment_scope": "paper"},
    "modes": {"column": "validation_mode", "default": "STANDARD", "RESEARCH": {"status": "R", "verdict_ceiling": "R"}},
    "noise_floor": 0.3,
    "run_log": "validation_run_log",
}
NEW_ONES = GatesOnly(not_null="hypothesis_file_sha", created_after=datetime(2026, 4, 8, tzinfo=UTC))
OPTIONS = st.fixed_dictionaries(
    {
        "filters": st.just("params"),
        "unknown_filters": st.sampled_from([None, "all", "none"]),
        "seasons": st.sampled_from([{}, {"0900": "America/New_York"}]),
        "waived_years": st.sampled_from(["excuse", "positive"]),
        "years_counted": st.sampled_from(["all", "tested"]),
        "min_years_positive_pct": st.sampled_from([1.0, 0.6]),
        "no_regime_waivers": st.booleans(),
        "small_sample": st.sampled_from([0, 100]),
        "small_wf_window_trades": st.sampled_from([None, 20]),
        "small_wf_min_windows": st.sampled_from([None, 2]),
        "wf_first_day": st.sampled_from([None, date(2021, 3, 1)]),
        "wf_last_day": st.sampled_from([None, date(2023, 6, 30)]),
        "wf_window_trades": st.sampled_from([None, 40]),
        "wf_in_sample": st.just(True),
        "wf_min_windows": st.sampled_from([1, 3]),
        "gate": st.sampled_from([(), ("fdr",)]),
        "fdr_sides": st.sampled_from([None, 2]),
        "fdr_method": st.sampled_from([None, "by", "raw"]),
        "fdr_group_by": st.sampled_from([(), ("orb_label",), ("orb_label", "validation_mode")]),
        "min_sharpe_ann": st.sampled_from([None, 0.0]),
        "min_wfe": st.sampled_from([None, 0.5, 1.0]),
        "holdout_from": st.sampled_from([None, date(2023, 7, 1), date(2023, 12, 1), date(2024, 1, 1)]),
        "holdout_few": st.sampled_from(["pass", "reject"]),
        "holdout_min_ratio": st.sampled_from([None, 0.8]),
        "era_starts": st.sampled_from([(), (2020, 2022, 2024)]),
        "gates_only": st.sampled_from([None, NEW_ONES]),
        "promotion": st.just(Promotion.of(TABLE)),
    }
)  # fmt: skip


def strategy_of(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """The generated row as one of the table."""
    filter_type, filter_params = row["filter"]
    kept = {name: value for name, value in row.items() if name not in ("filter", "suffix")}
    named = {"strategy_id": f"MGC_{number}{row['suffix']}", "filter_type": filter_type, "filter_params": filter_params}
    return {**kept, **named}


@given(st.lists(ROWS, min_size=1, max_size=8), OPTIONS)
@settings(max_examples=15)
def test_run_writes_what_the_slow_twin_writes(rows: list[dict[str, Any]], options: dict[str, Any]) -> None:
    """Verdicts, words, setups, lines and the user's log equal the twin's under any options, on any database."""
    strategies = [strategy_of(number, row) for number, row in enumerate(rows)]
    config = RunConfig(**options)
    with tempfile.TemporaryDirectory() as folder:
        path = newest_database(Path(folder) / "newest.duckdb", strategies, outcomes=OUTCOMES)
        with duckdb.connect(str(path), read_only=True) as connection:
            rules = replace(Settings.of(config), promotion=promotion(TABLE))
            expected = twin(connection, "MGC", rules, COSTS["MGC"])
        lines = Path(folder) / "wf.jsonl"
        validate(path, "MGC", config, workers=1, progress=False, wf_output=lines)

        compare_verdicts(path, expected)
        compare_words(path, expected)
        if expected["strategies"]:  # a run with nothing to do writes nothing
            compare_log(path, expected["log"])
        compare_lines(lines, expected["lines"])


def compare_words(path: Path, expected: dict[str, Any]) -> None:
    """What is said of each row beside its verdict."""
    with duckdb.connect(str(path), read_only=True) as connection:
        for strategy_id, answer in expected["strategies"].items():
            word, pathway, reason = connection.execute(
                "SELECT c8_oos_status, validation_pathway, rejection_reason FROM experimental_strategies "
                "WHERE strategy_id = ?",
                [strategy_id],
            ).fetchall()[0]
            assert (word, pathway) == (answer["word"], answer["pathway"]), (strategy_id, answer)
            assert (reason is not None) == (answer["status"] == "REJECTED")


def compare_log(path: Path, expected: dict[str, Any]) -> None:
    """The counts of the run in the user's log."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [name for name in expected if name in names_of(connection, "validation_run_log")]
        [row] = connection.execute(f"SELECT {', '.join(names)} FROM validation_run_log").fetchall()
    assert {name: value for name, value in zip(names, row, strict=True) if not same(value, expected[name])} == {}
