"""Generated databases, validated by the package and by its slow twin: every written value is equal."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_validator import RunConfig, validate
from tests.recorded import phase_of, same
from tests.reference.screening import COSTS
from tests.reference.settings import Settings
from tests.reference.validate import validate as twin
from tests.reference.written import names_of
from tests.rules.strategies import strategy_rows
from tests.support.tiny import tiny_database

NAN = float("nan")
FILTERS = [
    "NO_FILTER",
    "ORB_G4",
    "ORB_G8",
    "ORB_G4_FAST5",
    "ORB_G4_NOFRI",
    "ORB_G5_CONT",
    "VOL_RV12_N20",
    "ORB_G4_L12",
    "DIR_SHORT",
    "MYSTERY",
]
PARAMS = [
    None,
    '{"min_size": 4.0, "max_size": null}',
    '{"base": {"min_size": 5.0}, "overlay": {"skip_days": [4, 0]}}',
    "[]",
    "{broken",
]
GOOD_ROW = st.just({})  # the tiny database's default strategy passes
ODD_ROW = strategy_rows()
ROWS = st.builds(
    lambda base, more: {**base, **more},
    st.one_of(GOOD_ROW, GOOD_ROW, ODD_ROW),
    st.fixed_dictionaries(
        {
            "orb_label": st.sampled_from(["0900", "0900", "1000", "1130", "NOWHERE"]),
            "filter_type": st.sampled_from([*FILTERS, None]),
            "filter_params": st.sampled_from(PARAMS),
            "is_canonical": st.sampled_from([True, True, True, False, None]),
            "p_value": st.sampled_from([None, NAN, 0.001, 0.02, 0.02, 0.04, 0.9]),
            "win_rate": st.sampled_from([0.6, 0.6, 0.6, None]),
            "validation_status": st.sampled_from([None, None, "", "PASSED", "PENDING"]),
            "suffix": st.sampled_from(["", "", "_W", "_S"]),
            "rr_target": st.sampled_from([1.5, 2.0]),
        },
        optional={"dst_verdict": st.just("STABLE")},
    ),
)
OUTCOMES = st.sampled_from(
    [
        {},
        {"rr_target = 2 AND month(trading_day) = 5": {"pnl_r": -2.0}},
        {"rr_target = 2 AND trading_day = '2023-03-10'": {"outcome": "win", "pnl_r": NAN}},
        {"rr_target = 2 AND trading_day > '2021-10-01'": {"outcome": None}},
    ]
)
FEATURES = st.sampled_from(
    [
        {},
        {"month(trading_day) = 3": {"day_of_week": None, "orb_0900_size": None}},
        {"year(trading_day) = 2021": {"atr_20": 12.0}},
        {"symbol = 'MGC'": {"atr_20": None}},
    ]
)
FLAGS = st.sampled_from(
    [
        RunConfig(),
        RunConfig(no_walkforward=True),
        RunConfig(strict_filters=True, exclude_years=(2021,)),
        RunConfig(no_regime_waivers=True, min_years_positive_pct=0.5, wf_test_months=5, wf_min_trades=20),
        RunConfig(min_sharpe=0.2, max_drawdown=10.0, wf_min_windows=1, wf_min_pct_positive=1.0, min_trades_per_year=70),
    ]
)


@given(st.lists(ROWS, min_size=1, max_size=8), OUTCOMES, FEATURES, FLAGS)
@settings(max_examples=25)
def test_run_writes_what_the_slow_twin_writes(
    rows: list[dict[str, Any]], outcomes: dict[str, Any], features: dict[str, Any], flags: RunConfig
) -> None:
    """Statuses, phases, season columns, promoted rows and JSON lines equal the twin's on any database."""
    strategies = [{k: v for k, v in row.items() if k != "suffix"} for row in rows]
    for number, (strategy, row) in enumerate(zip(strategies, rows, strict=True)):
        strategy["strategy_id"] = f"MGC_{number}{row['suffix']}"
    targets = {strategy["rr_target"] for strategy in strategies}

    with tempfile.TemporaryDirectory() as folder:
        path = tiny_database(
            Path(folder) / "tiny.duckdb", strategies, outcomes=outcomes if 2.0 in targets else {}, features=features
        )
        with duckdb.connect(str(path), read_only=True) as connection:
            expected = twin(connection, "MGC", Settings.of(flags), COSTS["MGC"])
        lines = Path(folder) / "wf.jsonl"
        validate(path, "MGC", flags, workers=1, progress=False, wf_output=lines)

        compare_verdicts(path, expected)
        compare_lines(lines, expected["lines"])


def compare_verdicts(path: Path, expected: dict[str, Any]) -> None:
    """What stands in both tables, against the twin's answers."""
    with duckdb.connect(str(path), read_only=True) as connection:
        for strategy_id, answer in expected["strategies"].items():
            status, note, *split = connection.execute(
                "SELECT validation_status, validation_notes, dst_winter_n, dst_winter_avg_r, dst_summer_n, "
                "dst_summer_avg_r, dst_verdict FROM experimental_strategies WHERE strategy_id = ?",
                [strategy_id],
            ).fetchall()[0]
            assert (status, phase_of(note)) == (answer["status"], str(answer["phase"] or "")), (note, answer)
            if answer["dst"] is not None:
                assert split == list(answer["dst"])
        setups = connection.execute("SELECT strategy_id FROM validated_setups ORDER BY 1").fetchall()
        assert [strategy_id for (strategy_id,) in setups] == sorted(expected["setups"])
        there = names_of(connection, "validated_setups")
        for strategy_id, setup in expected["setups"].items():
            setup = {name: value for name, value in setup.items() if name in there}
            row = connection.execute(
                f"SELECT {', '.join(setup)} FROM validated_setups WHERE strategy_id = ?", [strategy_id]
            ).fetchall()[0]
            ours = dict(zip(setup, row, strict=True))
            assert {name: ours[name] for name in setup if not same(ours[name], setup[name])} == {}, setup


def compare_lines(path: Path, expected: list[dict[str, Any]]) -> None:
    """The JSONL against the twin's lines; the wording of reasons and the time are ours."""
    ours = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for line in ours:
        line.pop("fdr_p", None)  # beyond the lines of the rules: what a gate over all strategies has seen
    for line in [*ours, *expected]:
        line["rejection_reason"] = line["rejection_reason"] is not None
        del line["timestamp"], line["run_id"]
    assert ours == expected
