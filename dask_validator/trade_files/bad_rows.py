"""Rows that are left out: each with its reason, file and line; of a reason, how many there are and the first."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import duckdb

from dask_validator.trade_files.in_order import TRADES_READ, forget_order
from dask_validator.trade_files.loading import A_LEG, FILES, IN_SOURCE, ROWS, Reader, create
from dask_validator.trade_files.places import CSV, kind_of
from dask_validator.trade_files.relations import REJECTS, SCANS

CURRENCY = "another currency than the strategy's first trade"
UNREADABLE = "line that cannot be read"
DUPLICATE = "duplicate of a whole row"
NO_TRADES = frozenset({"open trade", "deposit, balance or subtotal row"})  # as tools write them: no damage to a log
MOST_UNUSABLE = 0.05  # of the rows of a strategy that should be closed trades (docs/trade-formats.md)
_PLACES = "trade_places"


class BadRows(NamedTuple):
    """All rows of one kind."""

    reason: str
    rows: int
    source: str  # where the first is
    line: int  # of a text, by lines; of anything else, by rows; from 1
    kept: bool = False  # counted among the trades all the same

    @property
    def first(self) -> str:
        """Where the first of them is, in words."""
        return f"{self.source}, {'line' if kind_of(Path(self.source)) == CSV else 'row'} {self.line:,}"


def refusal(unusable: int, trades: int) -> str | None:
    """Why a strategy with so many unusable rows beside its trades is not judged; None where it is."""
    if unusable > MOST_UNUSABLE * (unusable + trades):
        return f"{unusable:,} of {unusable + trades:,} rows cannot be used"
    return None if trades else "no closed trade"


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Begin anew, whatever an earlier reading has left."""
    forget_order(connection)
    for table in ("trades_bad", ROWS, FILES, _PLACES):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    connection.execute(create())
    connection.execute(
        f"CREATE TEMP TABLE {FILES} (file INTEGER, path VARCHAR, source VARCHAR, strategy VARCHAR, first_line INTEGER)"
    )


def forget_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    """Those of a look at the first rows would count twice."""
    for table in (REJECTS, SCANS):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def enter_files(connection: duckdb.DuckDBPyConnection, reader: Reader) -> None:
    """The places of a relation, by number; with the strategy where the file's name is what tells it."""
    there = reader.relation.places
    columns = (
        [reader.first_file + at for at in range(len(there))],
        [place.path for place in there],
        [place.name for place in there],
        [place.strategy if reader.by_file_name else None for place in there],
    )
    connection.execute(
        f"INSERT INTO {FILES} SELECT unnest($1), unnest($2), unnest($3), unnest($4::VARCHAR[]), $5",
        [*columns, reader.relation.first_line],
    )


def set_aside(connection: duckdb.DuckDBPyConnection, readers: list[Reader]) -> tuple[BadRows, ...]:
    """Make `trades_bad` of all rows, and count what is in it."""
    if any(reader.results.uses_money and "currency" in reader.one.trade for reader in readers):
        _mark_currencies(connection)
    has_rejects = _has_rejects(connection)
    connection.execute(
        f"CREATE TEMP TABLE {_PLACES} AS SELECT file, source, strategy, path, first_line, first_row "
        f"FROM {FILES} JOIN (SELECT file, min(rowid) AS first_row FROM {ROWS} GROUP BY file) USING (file)"
    )
    connection.execute(
        "CREATE TEMP TABLE trades_bad AS SELECT strategy_id, reason, source, "
        f"{_line('bad.rowid', has_rejects)} AS line FROM {ROWS} AS bad JOIN {_PLACES} AS places USING (file) "
        f"WHERE reason <> '{A_LEG}' ORDER BY file, bad.rowid"
    )
    if has_rejects:
        connection.execute(
            f"INSERT INTO trades_bad SELECT strategy, '{UNREADABLE}', source, line FROM ({_rejected()}) "
            f"JOIN {FILES} USING (path) ORDER BY file, line"
        )
    found = connection.execute(
        "SELECT reason, count(*), first(source ORDER BY rowid), first(line ORDER BY rowid) FROM trades_bad "
        "GROUP BY reason ORDER BY min(rowid)"
    ).fetchall()
    return tuple(BadRows(*row) for row in found)


def _mark_currencies(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"UPDATE {ROWS} SET reason = $1 "
        f"FROM (SELECT strategy_id AS id, arg_min(currency, {IN_SOURCE}) AS first FROM {ROWS} "
        "WHERE reason IS NULL AND currency IS NOT NULL GROUP BY id HAVING count(DISTINCT currency) > 1) AS mixed "
        f"WHERE {ROWS}.strategy_id = mixed.id AND reason IS NULL AND currency IS DISTINCT FROM mixed.first",
        [CURRENCY],
    )


def _has_rejects(connection: duckdb.DuckDBPyConnection) -> bool:
    tables = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = $1", [REJECTS]).fetchall()
    return bool(tables) and bool(connection.execute(f"SELECT 1 FROM {REJECTS} LIMIT 1").fetchall())


def _rejected() -> str:
    return (
        f"SELECT DISTINCT scans.file_path AS path, errors.line AS line FROM {REJECTS} AS errors "
        f"JOIN {SCANS} AS scans USING (scan_id, file_id)"
    )


def _line(rowid: str, has_rejects: bool) -> str:
    """The line of a row, where those that were rejected before it count too."""
    counted = f"places.first_line + {rowid} - places.first_row"
    if not has_rejects:
        return counted
    before = (
        "SELECT count(*) FROM (SELECT line - row_number() OVER (PARTITION BY path ORDER BY line) + 1 AS at, path "
        f"FROM ({_rejected()})) AS rejected WHERE rejected.path = places.path AND rejected.at <= {counted}"
    )
    return f"{counted} + ({before})"


def duplicates(connection: duckdb.DuckDBPyConnection) -> list[BadRows]:
    """Equal rows of one file, which a real log can hold: kept, and said. They are of one strategy and end together."""
    connection.execute(
        "CREATE TEMP TABLE trade_ties AS SELECT DISTINCT strategy_id, trading_day, exit_time FROM "
        "(SELECT strategy_id, trading_day, exit_time, lag(strategy_id) OVER () AS strategy_before, "
        f"lag(trading_day) OVER () AS day_before, lag(exit_time) OVER () AS time_before FROM {TRADES_READ}) "
        "WHERE exit_time = time_before AND trading_day = day_before AND strategy_id = strategy_before"
    )
    found = connection.execute(
        f"SELECT sum(more) OVER (), source, {_line('row', _has_rejects(connection))} FROM "
        f"(SELECT file, min({ROWS}.rowid) AS row, count(*) - 1 AS more FROM {ROWS} "
        "SEMI JOIN trade_ties USING (strategy_id, trading_day, exit_time) WHERE reason IS NULL "
        f"GROUP BY file, row_hash HAVING count(*) > 1) JOIN {_PLACES} AS places USING (file) ORDER BY row LIMIT 1"
    ).fetchall()
    connection.execute("DROP TABLE trade_ties")
    return [BadRows(DUPLICATE, int(count), source, line, kept=True) for count, source, line in found]
