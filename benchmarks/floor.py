"""The least that any validator must do: group the outcomes once, update all strategies once.

usage: floor.py DB INSTRUMENT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import duckdb

GROUP = """
    SELECT orb_minutes, orb_label, entry_model, rr_target, confirm_bars,
           year(trading_day) AS year, month(trading_day) > 6 AS second_half, count(*), sum(pnl_r)
    FROM orb_outcomes WHERE symbol = ? AND outcome IS NOT NULL GROUP BY ALL
"""
VERDICTS = """
    CREATE TEMP TABLE verdicts AS
    SELECT strategy_id, 'REJECTED' AS status, 'Phase 1: sample size ' || coalesce(sample_size, 0) AS note
    FROM experimental_strategies WHERE instrument = ?
"""
UPDATE = """
    UPDATE experimental_strategies SET validation_status = v.status, validation_notes = v.note
    FROM verdicts v WHERE experimental_strategies.strategy_id = v.strategy_id
"""


def floor_s(db: str | Path, instrument: str, times: int = 3) -> float:
    """Seconds of one GROUP BY, one bulk UPDATE and its commit in a single thread, the minimum of some; undone again."""
    return min(_once(db, instrument) for _ in range(times))


def _once(db: str | Path, instrument: str) -> float:
    with duckdb.connect(str(db), config={"threads": 1}) as connection:
        columns = "strategy_id, validation_status, validation_notes"
        connection.execute(f"CREATE TEMP TABLE before AS SELECT {columns} FROM experimental_strategies")
        connection.execute(VERDICTS, [instrument])
        clock = time.perf_counter()
        connection.execute(GROUP, [instrument]).fetchall()
        connection.execute("BEGIN TRANSACTION")
        connection.execute(UPDATE)
        connection.execute("COMMIT")
        seconds = time.perf_counter() - clock
        connection.execute(
            "UPDATE experimental_strategies SET validation_status = b.validation_status, "
            "validation_notes = b.validation_notes FROM before b "
            "WHERE experimental_strategies.strategy_id = b.strategy_id"
        )
    return seconds


if __name__ == "__main__":
    print(f"{floor_s(sys.argv[1], sys.argv[2]):.4f} s")
