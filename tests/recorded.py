"""Recorded answers of the serial reference: building their databases, and comparing a run with them.

Every `compare_*` function returns a list of readable differences; an empty list means equal.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

SHARED = Path(os.environ.get("DASK_VALIDATOR_SHARED") or Path(__file__).resolve().parents[2] / "shared")
SMALL = Path(__file__).resolve().parent / "golden" / "small"

FAILS_CLOSED = ("expectancy NaN", "yearly NaN year")

SETUP_COLUMNS = [
    "promoted_from", "instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model",
    "filter_type", "filter_params", "sample_size", "win_rate", "expectancy_r", "years_tested", "all_years_positive",
    "stress_test_passed", "sharpe_ratio", "max_drawdown_r", "trades_per_year", "sharpe_ann", "yearly_results",
    "median_risk_dollars", "avg_risk_dollars", "avg_win_dollars", "avg_loss_dollars", "regime_waivers",
    "regime_waiver_count", "dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict",
    "fdr_significant", "fdr_adjusted_p", "p_value", "sharpe_ann_adj", "execution_spec", "family_hash",
    "is_family_head", "status", "retired_at", "retirement_reason",
]  # fmt: skip

# The reference numbers its phases differently: its walk-forward is our phase 6, its drawdown gate our phase 5.
PHASE_OF_REFERENCE = {"1": "1", "2": "2", "3": "3", "4": "4", "4b": "6", "5": "5", "6": "5"}

TABLES = {
    "daily_features": "PRIMARY KEY (symbol, trading_day, orb_minutes)",
    "orb_outcomes": "PRIMARY KEY (symbol, trading_day, orb_label, orb_minutes, rr_target, confirm_bars, entry_model), "
    "FOREIGN KEY (symbol, trading_day, orb_minutes) REFERENCES daily_features (symbol, trading_day, orb_minutes)",
    "experimental_strategies": "PRIMARY KEY (strategy_id)",
    "validated_setups": "PRIMARY KEY (strategy_id), "
    "FOREIGN KEY (promoted_from) REFERENCES experimental_strategies (strategy_id)",
}
COLUMN_RULES = {
    "experimental_strategies": {
        "created_at": "NOT NULL DEFAULT CURRENT_TIMESTAMP",
        "instrument": "NOT NULL",
        "is_canonical": "DEFAULT TRUE",
        "stop_multiplier": "DEFAULT 1.0",
        "validation_mode": "DEFAULT 'STANDARD'",
    },
    "validated_setups": {
        "promoted_at": "NOT NULL DEFAULT CURRENT_TIMESTAMP",
        "is_family_head": "DEFAULT FALSE",
        "regime_waiver_count": "DEFAULT 0",
        "stop_multiplier": "DEFAULT 1.0",
        "promotion_provenance": "DEFAULT 'LEGACY'",
        "deployment_scope": "DEFAULT 'deployable'",
        "validation_mode": "DEFAULT 'STANDARD'",
        "instrument": "NOT NULL",
        "orb_label": "NOT NULL",
        "orb_minutes": "NOT NULL",
        "rr_target": "NOT NULL",
        "confirm_bars": "NOT NULL",
        "entry_model": "NOT NULL",
        "filter_type": "NOT NULL",
        "sample_size": "NOT NULL",
        "win_rate": "NOT NULL",
        "expectancy_r": "NOT NULL",
        "years_tested": "NOT NULL",
        "all_years_positive": "NOT NULL",
        "stress_test_passed": "NOT NULL",
        "status": "NOT NULL",
    },
}


@dataclass(frozen=True)
class RecordedRun:
    """One run of the reference; `folder` lacks the tables of a dry run and the lines of a run without walk-forward."""

    name: str
    folder: Path
    instrument: str
    flags: list[str]
    counts: dict[str, int]


def recorded_runs(golden_dir: Path) -> list[RecordedRun]:
    """The default run of a golden folder, then its variants by name."""
    runs = []
    for folder in [golden_dir / "expected", *sorted((golden_dir / "variants").glob("v_*"))]:
        settings = json.loads((folder / "settings.json").read_text())
        name = "default" if folder.name == "expected" else folder.name
        counts = {key: settings[key] for key in ("passed", "rejected", "skipped") if key in settings}
        runs.append(RecordedRun(name, folder, settings["instrument"], settings["flags"], counts))
    return runs


def except_ids(golden_dir: Path) -> set[str]:
    """Strategies where we differ from the reference on purpose (NaN fails closed); none where nothing is planted."""
    awkward = golden_dir / "awkward.json"
    if not awkward.exists():
        return set()
    return {strategy_id for oddity, strategy_id in json.loads(awkward.read_text()) if oddity in FAILS_CLOSED}


def build_database(input_dir: Path | str, out_path: Path | str) -> None:
    """A DuckDB database like the users', keys included, from a folder of recorded Parquet inputs."""
    if Path(out_path).exists():
        raise FileExistsError(out_path)
    with duckdb.connect(str(out_path)) as con:
        con.execute("BEGIN")
        for table, constraints in TABLES.items():
            source = _parquet(Path(input_dir), table)
            columns = [
                f'"{name}" {kind} {COLUMN_RULES.get(table, {}).get(name, "")}' for name, kind in _columns(con, source)
            ]
            con.execute(f"CREATE TABLE {table} ({', '.join(columns)}, {constraints})")
            con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {source}")
        con.execute(
            "CREATE TABLE edge_families (family_hash TEXT PRIMARY KEY, instrument TEXT NOT NULL, "
            "member_count INTEGER, head_strategy_id TEXT NOT NULL, "
            "FOREIGN KEY (head_strategy_id) REFERENCES validated_setups (strategy_id))"
        )
        con.execute(
            "CREATE TABLE validated_setups_archive (archive_id TEXT PRIMARY KEY, original_strategy_id TEXT NOT NULL, "
            "setup_snapshot TEXT, FOREIGN KEY (original_strategy_id) REFERENCES validated_setups (strategy_id))"
        )
        con.execute("COMMIT")


def compare_strategies(
    con: duckdb.DuckDBPyConnection, expected_dir: Path, except_ids: Collection[str] = ()
) -> list[str]:
    """Status, phase and the five DST columns of every row, and that no other column of any row has changed."""
    source = _parquet(expected_dir, "experimental_strategies")
    with duckdb.connect() as reader:
        recorded_columns = [name for name, _ in _columns(reader, source)]
        wanted = _by_id(reader, source, recorded_columns)
    kept = [name for name in recorded_columns if name != "validation_notes"]
    found = _by_id(con, "experimental_strategies", [*kept, "validation_notes"])

    differences = _compare_rows(found, wanted, kept, except_ids)
    for strategy_id in _shared_ids(found, wanted, except_ids):
        ours, theirs = found[strategy_id]["validation_notes"], wanted[strategy_id]["validation_notes"]
        if phase_of(theirs):
            equal = phase_of(ours) == PHASE_OF_REFERENCE[phase_of(theirs)]
        else:
            equal = ours == theirs or wanted[strategy_id]["validation_status"] in ("PASSED", "SKIPPED")
        if not equal:
            differences.append(f"{strategy_id}: note {ours!r}, recorded {theirs!r}")
    return differences


def compare_setups(con: duckdb.DuckDBPyConnection, expected_dir: Path, except_ids: Collection[str] = ()) -> list[str]:
    """Every column of docs/data-contract.md but `promoted_at`, the never-written ones included."""
    with duckdb.connect() as reader:
        wanted = _by_id(reader, _parquet(expected_dir, "validated_setups"), SETUP_COLUMNS)
    found = _by_id(con, "validated_setups", SETUP_COLUMNS)
    return _compare_rows(found, wanted, SETUP_COLUMNS, except_ids)


def compare_lines(lines: list[dict[str, Any]], expected_path: Path, except_ids: Collection[str] = ()) -> list[str]:
    """Every field of every JSON line but `timestamp` and the wording of `rejection_reason`, and their order."""
    found = [line for line in lines if line["strategy_id"] not in except_ids]
    wanted = [line for line in read_lines(expected_path) if line["strategy_id"] not in except_ids]
    found_by_id = {line["strategy_id"]: line for line in found}
    wanted_by_id = {line["strategy_id"]: line for line in wanted}

    differences = _compare_ids(found_by_id, wanted_by_id)
    if not differences and [line["strategy_id"] for line in found] != [line["strategy_id"] for line in wanted]:
        differences.append("the lines are in another order, or repeated")
    for strategy_id in _shared_ids(found_by_id, wanted_by_id, ()):
        ours, theirs = found_by_id[strategy_id], wanted_by_id[strategy_id]
        if list(ours)[: len(theirs)] != list(theirs):
            differences.append(f"{strategy_id}: fields {list(ours)}, recorded {list(theirs)}")
            continue
        if (ours["rejection_reason"] is None) != (theirs["rejection_reason"] is None):
            differences.append(
                f"{strategy_id}: reason {ours['rejection_reason']!r}, recorded {theirs['rejection_reason']!r}"
            )
        for field in theirs:
            if field not in ("timestamp", "rejection_reason") and not same(ours[field], theirs[field]):
                differences.append(f"{strategy_id}: {_where(field, ours[field], theirs[field])}")
    return differences


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a plain or a Zstandard-compressed file, parsed by Python so that doubles stay exact."""
    if path.suffix != ".zst":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT line FROM read_csv(?, columns = {'line': 'VARCHAR'}, header = false, delim = '\x01', quote = '', "
            "escape = '', compression = 'zstd', auto_detect = false, max_line_size = 16000000)",
            [str(path)],
        ).fetchall()
    return [json.loads(line) for (line,) in rows]


def phase_of(note: str | None) -> str:
    """The phase that a note names (`Phase 3: ...` gives `3`), or an empty string."""
    named = re.match(r"Phase (\d+b?):", note or "")
    return named.group(1) if named else ""


def same(ours: Any, theirs: Any) -> bool:
    """Equality without any tolerance, in which NaN equals NaN, and TRUE is not 1."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, bool) != isinstance(theirs, bool):
        return False
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs):
        return True
    return bool(ours == theirs)


def _parquet(folder: Path, table: str) -> str:
    """The Parquet file of a table, as it is written in SQL."""
    path = str(folder / f"{table}.parquet").replace("'", "''")
    return f"'{path}'"


def _columns(con: duckdb.DuckDBPyConnection, source: str) -> list[tuple[str, str]]:
    """Names and types of a table's columns."""
    return [(name, kind) for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]


def _by_id(con: duckdb.DuckDBPyConnection, source: str, columns: list[str]) -> dict[str, dict[str, Any]]:
    """Rows by strategy; moments as microseconds since the epoch, so that no time zone has a say."""
    moments = {name for name, kind in _columns(con, source) if kind.startswith("TIMESTAMP")}
    picked = ", ".join(f'epoch_us("{name}")' if name in moments else f'"{name}"' for name in columns)
    rows = con.execute(f"SELECT strategy_id, {picked} FROM {source}").fetchall()
    return {strategy_id: dict(zip(columns, values, strict=True)) for strategy_id, *values in rows}


def _compare_rows(
    found: dict[str, dict[str, Any]],
    wanted: dict[str, dict[str, Any]],
    columns: list[str],
    except_ids: Collection[str],
) -> list[str]:
    """Missing and unexpected rows, then columns that differ."""
    differences = _compare_ids(set(found) - set(except_ids), set(wanted) - set(except_ids))
    for strategy_id in _shared_ids(found, wanted, except_ids):
        for column in columns:
            ours, theirs = found[strategy_id][column], wanted[strategy_id][column]
            if not same(ours, theirs):
                differences.append(f"{strategy_id}: {column} {ours!r}, recorded {theirs!r}")
    return differences


def _compare_ids(found: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Strategies that only one side has."""
    missing = [f"{strategy_id}: missing" for strategy_id in sorted(set(wanted) - set(found))]
    return missing + [f"{strategy_id}: not recorded" for strategy_id in sorted(set(found) - set(wanted))]


def _shared_ids(found: Iterable[str], wanted: Iterable[str], except_ids: Collection[str]) -> list[str]:
    """Strategies that both sides have, without the exceptions."""
    return sorted((set(found) & set(wanted)) - set(except_ids))


def _where(field: str, ours: Any, theirs: Any) -> str:
    """Where two values differ; in a list of windows, the first window that does."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if not same(a, b):
                return f"{field}[{number}] {a!r}, recorded {b!r}"
    return f"{field} {ours!r}, recorded {theirs!r}"
