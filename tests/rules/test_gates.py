"""The register: whatever a gate needs it has, or the suite fails."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dask_validator import RunConfig, explain, validate
from dask_validator.config import GATES_OF_ALL, flag
from dask_validator.rules.gates import (
    GATES,
    HELD,
    OF_HOLDOUT,
    OF_ROWS,
    OF_UNIVERSE,
    OF_WINDOWS,
    PHASES,
    POSITION,
    Gate,
    Terms,
)
from dask_validator.rules.judging import every_judged, first_failing, said, why
from dask_validator.store.our_tables import RESULTS
from dask_validator.views.report.tables import funnel_steps
from tests.documents.pages import page
from tests.support.tiny import rows_by_id, tiny_database

WORLDS = RunConfig(min_sharpe=0.1, max_drawdown=20.0, min_win_rate=0.4, min_sharpe_ann=0.5, gate=GATES_OF_ALL)
EVERY = replace(  # of those that no world applies
    replace(WORLDS, gate=("fdr",)),
    **{"era_starts": (2015, 2020), "holdout_from": "2026-01-01", "holdout_min_ratio": 0.4},
    **{"wf_in_sample": True, "min_wfe": 0.5},
)
TEXTS = {"no_years": "no yearly data", "negative": "2019", "era": "2015 to 2019"}
SCOPES = (OF_ROWS, OF_HOLDOUT, OF_WINDOWS, OF_UNIVERSE)
ORDER = (10, 9, 1, 2, 3, 4, 5, 6, 7, 8)  # in which phases are judged
by_name = pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)


def terms_for(gate: Gate) -> Terms:
    """With these the gate is on."""
    counting = replace(EVERY, waived_years="positive")
    ways = [Terms(config, waives=waives) for config in (EVERY, WORLDS, counting) for waives in (True, False)]
    return next(terms for terms in ways if gate.threshold(terms) is not None)


def holding(terms: Terms) -> NDArray[np.float64]:
    """Numbers at which every gate holds, shape (n_gates,)."""
    off = {">=": 0.0, ">": 1.0, "<=": 0.0, "<": -0.01}
    return np.array([(gate.threshold(terms) or 0.0) + off[gate.comparison] for gate in GATES])


def failing(gate: Gate, terms: Terms) -> NDArray[np.float64]:
    """Numbers at which this gate alone does not hold."""
    observed = holding(terms)
    observed[POSITION[gate.name]] += {">=": -1.0, ">": -2.0, "<=": 1.0, "<": 1.0}[gate.comparison]
    return observed


@by_name
def test_it_is_judged(gate: Gate) -> None:
    """A strategy that it alone does not hold for is rejected by it, one of NaN too unless it admits the unknown."""
    terms, position = terms_for(gate), POSITION[gate.name]
    unknown = failing(gate, terms)
    unknown[position] = np.nan
    observed = np.array([holding(terms), failing(gate, terms), unknown])
    mine = next(of_scope for of_scope in SCOPES if position in of_scope)

    assert first_failing(observed, terms, mine).tolist() == [
        *(HELD, position),
        HELD if gate.unknown_holds else position,
    ]


@by_name
def test_it_is_worded(gate: Gate) -> None:
    """Its reason is a sentence without holes, also where its number is unknown."""
    terms, position = terms_for(gate), POSITION[gate.name]
    for observed in (failing(gate, terms), np.full(len(GATES), np.nan)):
        reason = why(position, observed, terms, TEXTS)
        assert reason
        assert not {"{", "}"} & set(reason)
        assert "nan" not in reason


@by_name
def test_it_is_explained(gate: Gate) -> None:
    """It stands among the gates that are explained, with what is seen and needed, and why it does not hold."""
    terms, position = terms_for(gate), POSITION[gate.name]
    mine = next(of_scope for of_scope in SCOPES if position in of_scope)
    judged = {one.name: one for one in every_judged(failing(gate, terms), terms, TEXTS, mine)}

    assert gate.label
    assert [name for name, one in judged.items() if not one.passed] == [gate.name]
    assert judged[gate.name].reason


@by_name
def test_it_is_remedied(gate: Gate) -> None:
    """Flags that exist can let a strategy through, or a sentence says that none does."""
    assert gate.flags or gate.lacking
    assert set(gate.flags) <= {field.name for field in fields(RunConfig)}
    sentence = said(gate.lacking, POSITION[gate.name], failing(gate, terms_for(gate)), terms_for(gate), {})
    assert not {"{", "}"} & set(sentence)


@by_name
def test_it_is_counted(gate: Gate) -> None:
    """Its phase has a name, and a step in the funnel."""
    counts = {"rows": 1, "passed": 0, "rejected": 1, "skipped": 0, "failed": 0}
    by_phase = {str(phase): int(phase == gate.phase) for phase in PHASES}
    steps = funnel_steps({**counts, "rejected_by_phase": by_phase})

    assert sum(step.removed for step in steps) == 1


@by_name
def test_it_is_recorded_and_documented(gate: Gate) -> None:
    """Its number is a column of the results, which docs/tables.md names; the rules name its flags."""
    assert gate.name in RESULTS
    assert f"| `{gate.name}` |" in page("docs/tables.md")
    assert all(f"`{flag(name)}`" in page("docs/rules.md") for name in gate.flags)


def test_gates_are_in_the_order_of_their_phases() -> None:
    """The first that rejects gives the reason."""
    assert [gate.phase for gate in GATES] == sorted((gate.phase for gate in GATES), key=ORDER.index)
    assert len(POSITION) == len(GATES)


def test_a_gate_of_a_column_is_everywhere(tmp_path: Path) -> None:
    """The win rate, stated in the register, as a field and as a flag, rejects, is noted, recorded and remedied."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{}, {"strategy_id": "MGC_LOW", "win_rate": 0.45}])
    result = validate(database, wf_output=tmp_path / "wf.jsonl", min_win_rate=0.5, workers=1, progress=False)
    explanation = explain(database, "MGC_LOW")
    results = rows_by_id(database, "dask_validator_results")

    assert result.summary["rejected_by_phase"]["5"] == 1
    note = "Phase 5: win rate 0.45, needed >= 0.5"
    assert rows_by_id(database, "experimental_strategies")["MGC_LOW"]["validation_notes"] == note
    assert {name: row["win_rate"] for name, row in results.items()} == {"MGC_GOOD": 0.6, "MGC_LOW": 0.45}
    assert (results["MGC_LOW"]["gate"], results["MGC_LOW"]["phase"]) == ("win_rate", 5)
    assert explanation.remedy.flags == "--min-win-rate 0.45"
