"""Trade logs read the way an import reads them, as plain rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dask_validator.trade_files.reading import Reading, ReadOptions, read_trades

SAMPLES = Path(__file__).parents[1] / "trade_files" / "samples"


class Log(NamedTuple):
    """What was read: trades by column, bad rows as (strategy, reason, line)."""

    reading: Reading
    trades: list[dict[str, Any]]
    bad: list[tuple[str | None, str, int]]

    def column(self, name: str) -> list[Any]:
        """One column of the trades, in their order."""
        return [trade[name] for trade in self.trades]


def read(source: Any, **options: Any) -> Log:
    """Read a source on a connection of its own."""
    with duckdb.connect() as connection:
        reading = read_trades(connection, source, ReadOptions(**options))
        rows = connection.execute("FROM trades_read ORDER BY row")
        names = [column[0] for column in rows.description]
        trades = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
        bad = connection.execute("SELECT strategy_id, reason, line FROM trades_bad").fetchall()
    return Log(reading, trades, bad)


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A small file."""
    path.write_text(text, encoding=encoding)
    return path


def sample(name: str) -> str:
    """The text of a log that is made by hand, to the shape and the traps of a tool."""
    return (SAMPLES / name).read_text(encoding="utf-8")
