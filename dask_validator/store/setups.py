"""What becomes of a strategy in the users' tables beside its verdict: its setup, the reason, a line in the run log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import datetime
from typing import Any, NamedTuple

from dask_validator.config import Promotion, RunConfig
from dask_validator.model import EPOCH, Status
from dask_validator.rules.promotion import ruled_names
from dask_validator.rules.verdicts import Verdicts
from dask_validator.store.contract import KEPT_ON_CONFLICT, PROMOTED, UNRETIRED, Catalogue
from dask_validator.store.kinds import quoted
from dask_validator.store.our_tables import SPLIT
from dask_validator.store.ruled import TO_COPY

STANDING = {"year_share": "DOUBLE", "mode": "VARCHAR", "family": "INTEGER"}
COMPUTED = {
    "years_tested": "INTEGER",
    "all_years_positive": "BOOLEAN",
    "regime_waivers": "VARCHAR",
    "regime_waiver_count": "INTEGER",
    "fdr_significant": "BOOLEAN",
    "fdr_adjusted_p": "DOUBLE",
    "max_year_pct": "DOUBLE",
    "era_dependent": "BOOLEAN",
    "wf_tested": "BOOLEAN",
    "wf_passed": "BOOLEAN",
    "wf_windows": "INTEGER",
    "wfe": "DOUBLE",
    "oos_exp_r": "DOUBLE",
    "trade_day_count": "INTEGER",
    "first_trade_day": "INTEGER",
    "last_trade_day": "INTEGER",
    "discovery_k": "INTEGER",
    "validation_pathway": "VARCHAR",
    "c8_oos_status": "VARCHAR",
}
_DAYS = {name: f"DATE '{EPOCH}' + p.{name}" for name in ("first_trade_day", "last_trade_day")}
_KEPT_WHERE_KNOWN = {"discovery_k", "discovery_date"}  # as of the first time that the strategy was found
# The user's own log, by column: the phases whose rejections it counts; none: a phase that we do not have.
_LOGGED = {
    **{f"phase{phase}_rejected": (phase,) for phase in (1, 2, 3, 4)},
    "phase4c_rejected": (),
    "phase4d_rejected": (),
    "phase4b_rejected": (6,),
    "phase_fdr_rejected": (7, 8),
}


class Statement(NamedTuple):
    """One SQL statement of the transaction and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Run(NamedTuple):
    """Which run it is."""

    run_id: str
    instrument: str
    finished_at: datetime
    made_by: str


_OF_RULES = {"c8_oos_status", "validation_pathway", "wfe", "noise_risk"}


def unasked(config: RunConfig) -> Set[str]:
    """Columns that only rules fill: without any, what stands there is somebody else's, and stays."""
    asks = config.asks_for_evidence or config.wf_in_sample or config.promotion != Promotion()
    return frozenset() if asks else _OF_RULES


def of_strategies(catalogue: Catalogue, row: str, config: RunConfig) -> Iterator[Statement]:
    """The reason, and what the gates over all strategies say, of all but those that FAILED."""
    values = {
        "rejection_reason": f"CASE WHEN v.status = '{Status.REJECTED}' THEN v.note END",
        "c8_oos_status": "v.holdout",
        "validation_pathway": "v.pathway",
    }
    there = {*catalogue.where_there("experimental_strategies")} - unasked(config)
    if sets := ", ".join(f"{name} = {value}" for name, value in values.items() if name in there):
        yield Statement(
            f"UPDATE experimental_strategies SET {sets} FROM ordered_verdicts v "
            f"WHERE experimental_strategies.{row} = v.row AND v.status <> '{Status.FAILED}'"
        )


def promotion(catalogue: Catalogue, run: Run, config: RunConfig) -> Statement:
    """The upsert. A referenced row survives it: no key and no foreign key is updated."""
    moment = run.finished_at.isoformat()
    sources: dict[str, tuple[str, tuple[Any, ...]]] = {
        "strategy_id": ("e.strategy_id", ()),
        "promoted_at": ("?::TIMESTAMPTZ", (moment,)),
        "promoted_from": ("e.strategy_id", ()),
        **{name: (f"e.{quoted(name)}", ()) for name in (*catalogue.copied, *SPLIT)},
        **{name: (_DAYS.get(name, f"p.{name}"), ()) for name in COMPUTED},
        "stress_test_passed": ("TRUE", ()),
        "stop_multiplier": (_stop(catalogue), ()),
        "discovery_date": ("CASE WHEN p.family IS NOT NULL THEN ?::DATE END", (f"{run.finished_at:%Y-%m-%d}",)),
        "validation_run_id": ("?", (run.run_id,)),
        "promotion_git_sha": ("?", (config.provenance or run.made_by,)),
        "retired_at": ("NULL", ()),
        "retirement_reason": ("NULL", ()),
        **_trials(catalogue, config),
    }
    kinds = catalogue.tables["validated_setups"]
    sources = {name: source for name, source in sources.items() if name in {*kinds, *PROMOTED}}
    for position, name in enumerate(ruled_names(config.promotion)):
        if name in kinds:
            sources[name] = (f"CAST(p.ruled_{position} AS {kinds[name].kind})", ())
    names = ", ".join(map(quoted, sources))
    return Statement(
        f"INSERT INTO validated_setups ({names}) SELECT {', '.join(sql for sql, _ in sources.values())} "
        "FROM computed_promoted p JOIN experimental_strategies e USING (strategy_id) "
        f"ON CONFLICT (strategy_id) DO UPDATE SET {', '.join(_updates(sources, catalogue, unasked(config)))}",
        tuple(value for _, values in sources.values() for value in values),
    )


def _stop(catalogue: Catalogue) -> str:
    """A strategy without one has the whole stop."""
    there = catalogue.has("experimental_strategies", "stop_multiplier")
    return "coalesce(e.stop_multiplier, 1)" if there else "1"


def _trials(catalogue: Catalogue, config: RunConfig) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """How many were tried; where nobody has said it, those that were corrected for each other."""
    [name] = TO_COPY
    copied = f"e.{name}" if name in catalogue.promotion.copy else "NULL"
    tried = "NULL" if config.fdr_method == "raw" else "p.family"
    return {name: (f"coalesce({copied}, {tried})", ())}


def _updates(sources: Mapping[str, object], catalogue: Catalogue, left: Set[str]) -> Iterator[str]:
    """Of a setup that is there already."""
    kept = _KEPT_WHERE_KNOWN | TO_COPY - {*catalogue.promotion.copy}
    for name in sources:
        if name not in KEPT_ON_CONFLICT | left:
            column = quoted(name)
            new = f"excluded.{column}"
            yield f"{column} = coalesce(validated_setups.{column}, {new})" if name in kept else f"{column} = {new}"


def retirement(run: Run) -> Statement:
    """A setup whose strategy no longer passes is of no use, whatever it was of before."""
    return Statement(
        "UPDATE validated_setups SET status = 'retired', retired_at = ?::TIMESTAMPTZ, retirement_reason = v.note "
        "FROM computed_verdicts v WHERE validated_setups.strategy_id = v.strategy_id "
        f"AND {UNRETIRED} AND v.status IN ('{Status.REJECTED}', '{Status.SKIPPED}')",
        (run.finished_at.isoformat(),),
    )


def logged(catalogue: Catalogue, run: Run, verdicts: Verdicts) -> Iterator[Statement]:
    """A line in the log that the user's rules name, as far as it has the columns."""
    if (table := catalogue.promotion.run_log) is None:
        return
    counts = verdicts.counts()
    candidates, passed = counts["rows"] - counts["skipped"], counts["passed"]
    by_phase = {int(phase): count for phase, count in counts["rejected_by_phase"].items()}
    values: dict[str, Any] = {
        "run_id": run.run_id,
        "instrument": run.instrument,
        "candidates": candidates,
        **{name: sum(by_phase.get(phase, 0) for phase in phases) for name, phases in _LOGGED.items()},
        "final_passed": passed,
        "rejection_rate": round(1 - passed / candidates, 4) if candidates else 1.0,
        "notes": _unlogged(by_phase, counts["failed"]),
    }
    values = {name: value for name, value in values.items() if catalogue.has(table.lower(), name)}
    marks = ", ".join("?" * len(values))
    yield Statement(f"INSERT INTO {quoted(table)} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def _unlogged(by_phase: Mapping[int, int], failed: int) -> str | None:
    """What the columns cannot hold."""
    held = {phase for phases in _LOGGED.values() for phase in phases}
    others = [f"phase {phase}: {count}" for phase, count in by_phase.items() if count and phase not in held]
    return ", ".join(others + [f"FAILED: {failed}"] * bool(failed)) or None
