"""Trades that can be used, in the order in which they count: as they lie where they lie so, else as a sorted copy."""

from __future__ import annotations

import duckdb

from dask_validator.trade_files.loading import FILES, IN_SOURCE, ROWS

TRADES_READ = "trades_read"
_SORTED, _NAME = "trade_rows_sorted", "trade_strategy"
_LIE_OTHERWISE = f"""
    SELECT 1 FROM (SELECT (strategy_id, trading_day, exit_time, file) AS key, lag(key) OVER () AS before
                   FROM {ROWS} WHERE reason IS NULL)
    WHERE key < before LIMIT 1
"""
# Of a name its number is sorted, which is quick. DuckDB keeps the order of a table in a scan, but not in a join.
_SORT = f"""
    CREATE TEMP TYPE {_NAME} AS
    ENUM (SELECT DISTINCT strategy_id FROM {ROWS} WHERE reason IS NULL ORDER BY strategy_id);
    CREATE TEMP TABLE {_SORTED} AS
    SELECT CAST(strategy_id AS {_NAME}) AS strategy_id, trading_day, exit_time, result, risk, cost, side, symbol,
           entry_time, file, NULL AS reason
    FROM {ROWS} WHERE reason IS NULL ORDER BY CAST(strategy_id AS {_NAME}), trading_day, exit_time, {IN_SOURCE}
"""
# Written in full, as macros of the database that an import writes to would stand in for them.
_SOURCE = "system.main.list_extract(system.main.getvariable('trade_sources'), file + 1)"
# -0.0 and 0.0 are one result.
_READ = f"""
    SET VARIABLE trade_sources = (SELECT list(source ORDER BY file) FROM {FILES});
    CREATE TEMP VIEW {TRADES_READ} AS
    SELECT CAST(strategy_id AS VARCHAR) AS strategy_id, trading_day, exit_time, result + 0.0 AS result, risk, cost,
           side, symbol, entry_time, {_SOURCE} AS source, rowid AS row
    FROM {{place}} WHERE reason IS NULL
"""


def put_in_order(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `trades_read` of all rows: by strategy, day, exit time and, of equal ones, the order of the source."""
    in_order = not connection.execute(_LIE_OTHERWISE).fetchall()
    if not in_order:
        connection.execute(_SORT)
    connection.execute(_READ.format(place=ROWS if in_order else _SORTED))


def forget_order(connection: duckdb.DuckDBPyConnection) -> None:
    """Begin anew, whatever an earlier reading has left."""
    connection.execute(f"DROP VIEW IF EXISTS {TRADES_READ}")
    connection.execute(f"DROP TABLE IF EXISTS temp.{_SORTED}")
    connection.execute(f"DROP TYPE IF EXISTS {_NAME}")
