"""What an import takes beside DuckDB's own copy of the same columns: time, CPU seconds, memory, each in a process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PER_STRATEGY = 1_000  # trades
MAKE = """
    COPY (SELECT 'STRATEGY_' || lpad((i // {per})::VARCHAR, 6, '0') AS strategy_id,
                 TIMESTAMP '2015-01-01' + INTERVAL ((i % {per}) * 5760 + hash(i) % 5000) MINUTE AS exit_time,
                 round((random() - 0.45) * 4, 4) AS r, 0.05 AS cost, 1.0 AS risk, 'ES' AS symbol,
                 CASE WHEN i % 2 = 0 THEN 'long' ELSE 'short' END AS side,
                 TIMESTAMP '2015-01-01' + INTERVAL ((i % {per}) * 5760) MINUTE AS entry_time
          FROM range({trades}) t(i){order}) TO '{path}'
"""
ORDERS = {"parquet": "", "shuffled.parquet": " ORDER BY hash(i)", "csv": ""}  # by how the file ends
MADE = "import sys, duckdb; duckdb.connect().execute('SELECT setseed(0.5)').execute(sys.argv[1])"
# Wall-clock and CPU seconds, and the largest memory of the process in MB.
MEASURED = """
import json, resource, sys, time
from pathlib import Path
import duckdb
from dask_validator import import_trades
source, database, how = sys.argv[1:]
clock = time.perf_counter()
if how == "import":
    import_trades(source, database, "ES")
else:
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * FROM '{source}'")
wall, used = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def made(data: Path, trades: int, ending: str) -> Path:
    """A log of so many trades, a thousand a strategy; made once."""
    path = data / f"trades-{trades}.{ending}"
    if not path.exists():
        sql = MAKE.format(per=PER_STRATEGY, trades=trades, order=ORDERS[ending], path=path)
        # In a process of its own: those that are measured are born with the memory of this one.
        subprocess.run([sys.executable, "-c", MADE, sql], check=True)
    return path


def measured(source: Path, how: str) -> Sequence[float]:
    """Seconds, CPU seconds and MB of one process."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        command = [sys.executable, "-c", MEASURED, str(source), f"{folder}/x.duckdb", how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: list[float] = json.loads(done.stdout.splitlines()[-1])  # DuckDB may draw how far it is
        return found


def rows(data: Path, trades: int) -> list[tuple[object, ...]]:
    """Of Parquet, in order and not, and of CSV: the copy, the import, and how many times as long it takes."""
    found: list[tuple[object, ...]] = []
    for ending in ORDERS:
        source = made(data, trades, ending)
        copy, own = measured(source, "copy"), measured(source, "import")
        cells = [f"{value:.1f}" for pair in zip(copy[:2], own[:2], strict=True) for value in pair]
        times = [f"{own[i] / copy[i]:.1f}" for i in (0, 1)]
        found.append((f"{trades:,}", ending.replace(".", " "), *cells, *times, f"{own[2]:.0f}"))
    return found


HEADER = (
    *("trades", "file", "copy, s", "import, s", "copy, CPU s", "import, CPU s"),
    *("times", "times, CPU", "import, MB"),
)
