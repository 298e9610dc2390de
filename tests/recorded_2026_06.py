"""Recorded answers to the options of 2026-06: building their database, and comparing a run with them.

Where we answer differently on purpose (`differences.json`), the answers of `ours` are expected.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from tests.recorded import SHARED, build_database, read_lines, same

Rows = dict[str, dict[str, Any]]

SHARED_RUNS = SHARED / "golden-2026-06" / "run"
SMALL_RUNS = Path(__file__).resolve().parent / "golden" / "2026-06"
RULES = SMALL_RUNS / "rules"
INSTRUMENTS = {
    "main": ("MGC", "MNQ", "MES"),
    "v_calendar": ("MGC", "MNQ"),
    "v_no_gate": ("MNQ",),
    "v_waivers": ("MGC",),
    "v_individual": ("MES",),
}

DST = ("dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict")
NOT_COMPARED = {
    "strategy_id", "promoted_at", "validation_run_id", "promotion_git_sha", "discovery_date", "family_hash",
    "is_family_head", "dsr_score", "sr0_at_discovery", "retired_at", "retirement_reason",
}  # fmt: skip
# Theirs has one phase for several tests and for efficiency.
SEVERAL_TESTS = "7 or 8"
PHASES = {
    "Phase 4b": "6", "Phase FDR": SEVERAL_TESTS, "criterion_3_pathway_b": SEVERAL_TESTS,
    "criterion_6_pathway_b": SEVERAL_TESTS, "criterion_8": "9", "criterion_9": "10",
}  # fmt: skip
LOG_COLUMNS = (
    "candidates", "phase1_rejected", "phase2_rejected", "phase3_rejected", "phase4_rejected", "phase4c_rejected",
    "phase4d_rejected", "phase4b_rejected", "phase_fdr_rejected", "final_passed", "rejection_rate",
)  # fmt: skip
OF_LOG = {"1": "phase1", "2": "phase2", "3": "phase3", "4": "phase4", "6": "phase4b", SEVERAL_TESTS: "phase_fdr"}


@dataclass(frozen=True)
class Recorded:
    """One setting: what theirs answered, and what we answer instead where that is on purpose."""

    name: str
    runs: Path

    @property
    def folder(self) -> Path:
        """Where its answers are."""
        return self.runs / "expected" if self.name == "main" else self.runs / "variants" / self.name

    @property
    def rules(self) -> Path:
        """The setting as a rules file."""
        return RULES / f"{self.name}.toml"

    @property
    def instruments(self) -> tuple[str, ...]:
        """In the order of their run."""
        return INSTRUMENTS[self.name]

    @cached_property
    def on_purpose(self) -> dict[str, list[str]]:
        """The strategies where we differ, by output."""
        found: dict[str, Any] = json.loads((self.runs / "differences.json").read_text())[self.name]["ours"]
        return found

    def differing(self, *outputs: str) -> set[str]:
        """The strategies where we differ in one of these outputs."""
        return {strategy_id for output in outputs for strategy_id in self.on_purpose.get(output, ())}

    @cached_property
    def strategies(self) -> Rows:
        """What is expected of every strategy that was processed."""
        theirs = rows(f"FROM '{self.folder}/experimental_strategies.parquet'")
        ours = {line["strategy_id"]: line for line in read_lines(self.folder / "ours" / "strategies.jsonl.zst")}
        statuses = self.differing("status")
        kept: dict[str, Collection[str]] = {
            "status": statuses,
            "phase": statuses | self.differing("phase"),
            "c8_oos_status": statuses | self.differing("c8"),
            "validation_pathway": statuses,
            **dict.fromkeys(DST, statuses | self.differing("dst")),
        }
        expected = {}
        for strategy_id, line in ours.items():
            their_row = as_answer(theirs[strategy_id])
            our_row = as_answer({**line, "validation_notes": line["note"]})
            expected[strategy_id] = {
                name: our_row[name] if strategy_id in ids else their_row[name] for name, ids in kept.items()
            }
        return expected

    @cached_property
    def setups(self) -> Rows:
        """What is expected in every row of `validated_setups` but in the columns that are not compared."""
        theirs = rows(f"FROM '{self.folder}/validated_setups.parquet'")
        ours = {line["strategy_id"]: line for line in read_lines(self.folder / "ours" / "validated_setups.jsonl.zst")}
        differing = self.differing("setups", "setups ids")
        kept = {strategy_id: row for strategy_id, row in theirs.items() if strategy_id not in differing}
        return kept | {strategy_id: row for strategy_id, row in ours.items() if strategy_id in differing}

    @cached_property
    def lines(self) -> Rows:
        """What is expected in every JSON line but the wording, in their order."""
        theirs = {line["strategy_id"]: line for line in read_lines(self.folder / "wf.jsonl.zst")}
        ours = {line["strategy_id"]: line for line in read_lines(self.folder / "ours" / "wf.jsonl.zst")}
        differing = self.differing("jsonl ids") | self.of_codes("jsonl", "jsonl ids")
        by_trades = self.differing("jsonl") - differing
        kept = {name: a_day_later(line) if name in by_trades else line for name, line in theirs.items()}
        expected = {name: line for name, line in kept.items() if name not in differing}
        expected |= {name: line for name, line in ours.items() if name in differing}
        order = {instrument: place for place, instrument in enumerate(self.instruments)}
        return dict(sorted(expected.items(), key=lambda item: (order[item[1]["instrument"]], item[0])))

    def of_codes(self, *outputs: str) -> set[str]:
        """The strategies that any difference but the end of a window moves in one of these outputs."""
        codes: dict[str, Any] = json.loads((self.runs / "differences.json").read_text())[self.name]
        moved = [found for code, found in codes.items() if code not in ("ours", "window-end")]
        return {strategy_id for found in moved for output in outputs for strategy_id in found.get(output, ())}


def settings(runs: Path) -> list[Recorded]:
    """All five."""
    return [Recorded(name, runs) for name in INSTRUMENTS]


def build(runs: Path, path: Path) -> None:
    """The recorded input as a database like the user's: with defaults that promise too much, a log and an archive."""
    build_database(runs / "input", path)
    with duckdb.connect(str(path)) as con:
        columns = ", ".join(f"{name} {'DOUBLE' if name == 'rejection_rate' else 'INTEGER'}" for name in LOG_COLUMNS)
        con.execute(
            "CREATE TABLE validation_run_log (run_id TEXT PRIMARY KEY, run_ts TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP, "
            f"instrument TEXT, {columns}, notes TEXT)"
        )
        con.execute(
            "INSERT INTO validated_setups_archive "
            "SELECT 'kept ' || strategy_id, strategy_id, NULL FROM validated_setups"
        )


def rows(source: str | duckdb.DuckDBPyConnection, table: str = "") -> Rows:
    """Rows by strategy; moments left out, days as text."""
    if isinstance(source, str):
        with duckdb.connect() as con:
            return read(con, source)
    return read(source, f"FROM {table}")


def read(con: duckdb.DuckDBPyConnection, query: str) -> Rows:
    """The rows of a query."""
    names = [name for name, kind, *_ in con.execute(f"DESCRIBE {query}").fetchall() if "TIME" not in kind]
    picked = ", ".join(f'"{name}"' for name in names)
    found = [dict(zip(names, row, strict=True)) for row in con.execute(f"SELECT {picked} {query}").fetchall()]
    for row in found:
        for name, value in row.items():
            if isinstance(value, date):
                row[name] = value.isoformat()
    return {row["strategy_id"]: row for row in found}


def phase_of(note: str | None) -> str | None:
    """The phase that a note names, in our numbers; 7 and 8 are one."""
    named = re.match(r"Phase \w+(?=:)|criterion_\w+(?=:)", note or "")
    if named is None:
        return None
    phase = PHASES.get(named.group(), named.group().removeprefix("Phase "))
    return SEVERAL_TESTS if phase in ("7", "8") else phase


def as_answer(row: dict[str, Any]) -> dict[str, Any]:
    """What is compared of one row of `experimental_strategies`."""
    rejected = row["validation_status"] == "REJECTED"
    return {
        "status": row["validation_status"],
        "phase": phase_of(row["validation_notes"]) if rejected else None,
        "c8_oos_status": row["c8_oos_status"],
        "validation_pathway": row["validation_pathway"],
        **{name: row[name] for name in DST},
    }


def append_log(con: duckdb.DuckDBPyConnection, counts: Mapping[str, Any]) -> None:
    """A row of the log."""
    names, marks = ", ".join(LOG_COLUMNS), ", ".join("?" for _ in LOG_COLUMNS)
    values = [counts["instrument"], counts["instrument"], *(counts[name] for name in LOG_COLUMNS)]
    con.execute(f"INSERT INTO validation_run_log (run_id, instrument, {names}) VALUES (?, ?, {marks})", values)


def compare_run(con: duckdb.DuckDBPyConnection, lines: list[dict[str, Any]], recorded: Recorded) -> list[str]:
    """All differences: rows, setups, lines and the log."""
    return [
        *compare_strategies(con, recorded),
        *compare_setups(con, recorded),
        *compare_lines(lines, recorded),
        *compare_log(con, recorded),
    ]


def compare_strategies(con: duckdb.DuckDBPyConnection, recorded: Recorded) -> list[str]:
    """Statuses, phases, DST columns, the holdout's word, the pathway, and that only a rejection has a reason."""
    found = rows(con, "experimental_strategies")
    differences = list(compare({name: as_answer(found[name]) for name in recorded.strategies}, recorded.strategies))
    for strategy_id in recorded.strategies:
        row = found[strategy_id]
        if (row["rejection_reason"] is not None) != (row["validation_status"] == "REJECTED"):
            differences.append(f"{strategy_id}: {row['validation_status']} for {row['rejection_reason']!r}")
    return differences


def compare_setups(con: duckdb.DuckDBPyConnection, recorded: Recorded) -> list[str]:
    """Every column of every setup that is compared at all."""
    left_out = NOT_COMPARED | ({"fdr_significant"} if recorded.name == "v_no_gate" else set())
    found = {name: without(row, left_out) for name, row in rows(con, "validated_setups").items()}
    return list(compare(found, {name: without(row, left_out) for name, row in recorded.setups.items()}))


def compare_lines(lines: list[dict[str, Any]], recorded: Recorded) -> list[str]:
    """Every recorded field of every JSON line but the time and the wording, and their order; more may follow them."""
    found, wanted = {line["strategy_id"]: line for line in lines}, recorded.lines
    differences = []
    for strategy_id in found.keys() & wanted.keys():
        names = list(wanted[strategy_id])
        if list(found[strategy_id])[: len(names)] != names:
            differences.append(f"{strategy_id}: fields {list(found[strategy_id])}, expected {names}")
    kept = {name: as_line(line, wanted.get(name, line)) for name, line in found.items()}
    differences += compare(kept, {name: as_line(line, line) for name, line in wanted.items()})
    if not differences and [line["strategy_id"] for line in lines] != list(wanted):
        differences.append("the lines are in another order, or repeated")
    return differences


def compare_log(con: duckdb.DuckDBPyConnection, recorded: Recorded) -> list[str]:
    """The counts of every instrument, recounted from what is expected of its strategies."""
    instruments = {name: row["instrument"] for name, row in rows(con, "experimental_strategies").items()}
    found = {}
    for instrument, *counts in con.execute(
        f"SELECT instrument, {', '.join(LOG_COLUMNS)} FROM validation_run_log"
    ).fetchall():
        found[instrument] = dict(zip(LOG_COLUMNS, counts, strict=True))
    wanted = {}
    for instrument in recorded.instruments:
        answers = [row for name, row in recorded.strategies.items() if instruments[name] == instrument]
        wanted[instrument] = counted(answers)
    return list(compare(found, wanted))


def counted(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The log's columns of these answers."""
    judged = [answer for answer in answers if answer["status"] != "SKIPPED"]
    passed = sum(answer["status"] == "PASSED" for answer in judged)
    by_phase = Counter(answer["phase"] for answer in judged)
    counts = {f"{column}_rejected": by_phase[phase] for phase, column in OF_LOG.items()}
    return {
        **{name: counts.get(name, 0) for name in LOG_COLUMNS},
        "candidates": len(judged),
        "final_passed": passed,
        "rejection_rate": round(1 - passed / len(judged), 4),
    }


def as_line(line: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """What is compared of a JSON line: the fields of the recorded one."""
    kept = {name: line.get(name) for name in recorded if name not in ("timestamp", "strategy_id")}
    return {**kept, "rejection_reason": line["rejection_reason"] is None}


def a_day_later(line: dict[str, Any]) -> dict[str, Any]:
    """A recorded line whose windows are cut by trades: theirs end a day earlier, for they include their last day."""
    windows = []
    for window in line["windows"]:
        end = date.fromisoformat(window["window_end"]) + timedelta(days=1)
        windows.append({**window, "window_end": end.isoformat()})
    return {**line, "windows": windows}


def without(row: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The other columns."""
    return {name: value for name, value in row.items() if name not in names}


def compare(found: Rows, wanted: Rows) -> Iterator[str]:
    """Missing and unexpected rows, then columns that differ."""
    for strategy_id in sorted(wanted.keys() - found.keys()):
        yield f"{strategy_id}: missing"
    for strategy_id in sorted(found.keys() - wanted.keys()):
        yield f"{strategy_id}: not recorded"
    for strategy_id in sorted(found.keys() & wanted.keys()):
        ours, theirs = found[strategy_id], wanted[strategy_id]
        for name in sorted(ours.keys() | theirs.keys()):
            if name not in ours or name not in theirs:
                yield f"{strategy_id}: {name} only in {'ours' if name in ours else 'theirs'}"
            elif not same(ours[name], theirs[name]):
                yield f"{strategy_id}: {name} {ours[name]!r}, expected {theirs[name]!r}"
