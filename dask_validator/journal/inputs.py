"""What makes an earlier run's answers invalid, all of it: facts depend on nothing else, on no threshold above all."""

from __future__ import annotations

import json
from collections.abc import Mapping

from dask_validator.config import RunConfig
from dask_validator.journal.provenance import source_of_the_rules, versions
from dask_validator.model import Answer, Request
from dask_validator.rules.costs import Costs

Inputs = Mapping[str, str]


def inputs_of(config: RunConfig, fingerprints: Mapping[str, str], source: str, costs: Costs) -> Inputs:
    """By name, what all answers of a run depend on; each depends on its strategy's row besides.

    Parameters
    ----------
    fingerprints
        Of the instrument's rows, by table and source of outcomes.
    source
        The name of the latter.
    costs
        Of the instrument: conditions of filters may be about them, and tight stops are replayed with them.
    """
    return {
        "windows or filters": json.dumps(config.fact_rules),
        "costs": json.dumps(costs),
        "source of the rules": source_of_the_rules(),
        "version of DuckDB": versions()["duckdb"],  # its hashes are its own
        "outcomes": fingerprints[source],
        "features": fingerprints["daily_features"],
    }


def holds(answer: Answer, request: Request) -> bool:
    """Whether an answer is one to this question: of the same row and at least as much, or just as much if it failed."""
    covered = answer.asked == request.asked if answer.has_failed else answer.asked & request.asked == request.asked
    return covered and answer.fingerprint == request.fingerprint
