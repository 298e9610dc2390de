"""The tables that `import` makes: trades of any backtester, and what is said of each log (docs/tables.md)."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from dask_validator.errors import InputError
from dask_validator.model import TRADE_LOG, R

TRADES, LOGS = "dask_validator_trades", "dask_validator_trade_logs"
MARK = "made by dask-validator import"  # the comment by which we know a table of ours
TRADE_TABLES: Mapping[str, Mapping[str, str]] = {
    TRADES: {  # one row a trade; by strategy, day, exit time and, of equal ones, the order of the source
        "strategy_id": "VARCHAR",
        "trading_day": "DATE",
        "exit_time": "TIMESTAMP",
        "result": "DOUBLE",
        "risk": "DOUBLE",
        "cost": "DOUBLE",
        "side": "VARCHAR",
        "symbol": "VARCHAR",
        "entry_time": "TIMESTAMP",
        "source": "VARCHAR",
    },
    LOGS: {  # one row a strategy
        "strategy_id": "VARCHAR",
        "instrument": "VARCHAR",
        "unit": "VARCHAR",
        "mean_result": "DOUBLE",
        "mean_cost": "DOUBLE",
        "refused": "VARCHAR",
        "remark": "VARCHAR",
        "trades_hash": "VARCHAR",
    },
}
UNITS = {"r": R, "return": "%", "money": "money"}  # what is said on the command line, and how it is shown
LOG_KEY = f"CASE WHEN entry_model = '{TRADE_LOG}' THEN strategy_id END"  # in SQL, what an outcome key has beside a plan
# In SQL, over strategies: whether there are some, all of them imported.
ONLY_LOGS = f"count(*) > 0 AND count(*) FILTER (entry_model IS DISTINCT FROM '{TRADE_LOG}') = 0"


def refuse_others(connection: duckdb.DuckDBPyConnection, there: Mapping[str, Mapping[str, str]]) -> None:
    """Raise InputError for another object with the name of one of these tables, or one that is not as we make it.

    Nor may a strategy have two rows in what is said of each log: a run would see it twice.

    Parameters
    ----------
    there
        Columns and their types of each that is there.
    """
    if not any(there.values()):
        return
    comments = dict(
        connection.execute(
            "SELECT lower(table_name), comment FROM duckdb_tables() WHERE schema_name = 'main' "
            "AND database_name = current_database()"
        ).fetchall()
    )
    for table, columns in there.items():
        if columns and (comments.get(table) != MARK or dict(columns) != TRADE_TABLES[table]):
            raise InputError(f"{table} was not made by dask-validator import; rename or drop it")
    if there[LOGS]:
        _refuse_two_rows(connection)


def _refuse_two_rows(connection: duckdb.DuckDBPyConnection) -> None:
    query = f"SELECT strategy_id FROM {LOGS} GROUP BY strategy_id HAVING count(*) > 1 LIMIT 1"
    if twice := connection.execute(query).fetchall():
        raise InputError(f"{LOGS} has two rows of {twice[0][0]}; delete one: an import writes one for each strategy")
