"""Imported trades and the rows of their strategies, written to the users' database in one transaction or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.model import TRADE_LOG, R
from dask_validator.store.connection import explained, first_line, log_of
from dask_validator.store.contract import has_table, kinds, read_catalogue
from dask_validator.store.functions import refuse_macros
from dask_validator.store.kinds import literal
from dask_validator.store.lock import refuse_if_open_here
from dask_validator.store.our_tables import SPLIT
from dask_validator.store.trade_tables import LOGS, MARK, TRADE_TABLES, TRADES, refuse_others
from dask_validator.store.users_tables import STRATEGIES

GONE = "gone from the source"
MOST_NAMED = 3
# The users' tables declare these NOT NULL; nobody is shown them.
PLAN = {
    "orb_label": "'TRADES'",
    "orb_minutes": "0",
    "rr_target": "0",
    "confirm_bars": "0",
    "entry_model": f"'{TRADE_LOG}'",
    "filter_type": "'NO_FILTER'",
}
NUMBERS = {  # of the strategy's row
    "sample_size": "INTEGER",
    **dict.fromkeys(("win_rate", "expectancy_r", "sharpe_ratio", "max_drawdown_r"), "DOUBLE"),
    **dict.fromkeys(("trades_per_year", "sharpe_ann"), "DOUBLE"),
    "yearly_results": "VARCHAR",
    "p_value": "DOUBLE",
}
OF_LOG = {  # of what is said of it
    **dict.fromkeys(("mean_result", "mean_cost"), "DOUBLE"),
    **dict.fromkeys(("refused", "remark", "trades_hash"), "VARCHAR"),
}
MADE = {"strategy_id": "VARCHAR", **NUMBERS, **OF_LOG}


class Batch(NamedTuple):
    """What is to be written beside the trades themselves, which are those of `trades_read`.

    Attributes
    ----------
    rows
        Columns by the names of MADE, one value a strategy.
    replaces
        Whether strategies of the instrument that are not among them are gone.
    """

    instrument: str
    unit: str
    rows: Mapping[str, Sequence[Any]]
    replaces: bool


class Changes(NamedTuple):
    """How many strategies were which."""

    new: int
    changed: int
    unchanged: int
    aliases: int
    gone: int
    retired: int  # setups of those that are gone


@contextmanager
def target(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """Lend the connection the database for the block; a new one takes its place only when that has ended well.

    Raises
    ------
    InputError
        It cannot be opened or written.
    """
    is_new = not os.path.lexists(path)
    place = path.with_name(f"{path.name}.{os.getpid()}.building") if is_new else path
    try:
        with _attached(connection, path, place):
            yield
        if is_new:
            os.replace(place, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    except duckdb.Error as error:
        raise InputError(f"{path} cannot be written: {first_line(error)}; nothing was imported") from error
    finally:
        if is_new:
            for left in (place, log_of(place)):
                with suppress(FileNotFoundError):
                    os.unlink(left)


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, path: Path, place: Path) -> Iterator[None]:
    refuse_if_open_here(path)
    try:
        connection.execute(f"ATTACH {literal(str(place.absolute()))} AS target")
    except duckdb.Error as error:
        raise explained(path, error) from error
    connection.execute("USE target")
    try:
        yield
    finally:
        connection.execute("USE memory")
        connection.execute("DETACH target")


def write(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Changes:
    """Write all of it to the database that is lent.

    Raises
    ------
    InputError
        A strategy is another instrument's, or of the users' own, or the results of the instrument are in another
        unit; nothing was written.
    """
    _made(connection, batch)
    connection.execute("BEGIN")
    try:
        refuse_macros(connection)
        refuse_others(connection, kinds(connection, TRADE_TABLES))
        if not has_table(connection, "experimental_strategies"):
            connection.execute(STRATEGIES)
        for table, columns in TRADE_TABLES.items():
            if not has_table(connection, table):
                connection.execute(f"CREATE TABLE {table} ({', '.join(map(' '.join, columns.items()))})")
                connection.execute(f"COMMENT ON TABLE {table} IS '{MARK}'")
        _refuse_others(connection, batch)
        changes = _changed(connection, batch)
        read_catalogue(connection)  # whoever runs on it must find what is needed
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    return changes


def _made(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    unnested = ", ".join(f"unnest(${name}::{kind}[]) AS {name}" for name, kind in MADE.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE imported AS SELECT {unnested}", dict(batch.rows))


def _refuse_others(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    taken = connection.execute(
        "SELECT strategy_id, instrument, entry_model FROM experimental_strategies "
        "JOIN (SELECT strategy_id FROM temp.imported) USING (strategy_id) "
        f"WHERE instrument <> ? OR entry_model IS DISTINCT FROM '{TRADE_LOG}' ORDER BY strategy_id",
        [batch.instrument],
    ).fetchall()
    if taken:
        named = ", ".join(f"{name} (of {of}, {model})" for name, of, model in taken[:MOST_NAMED])
        more = f" and {len(taken) - MOST_NAMED:,} more" if len(taken) > MOST_NAMED else ""
        raise InputError(
            f"strategy_id {named}{more} is there already, and was not imported for {batch.instrument}; give the "
            "strategies other names"
        )
    gone = "FALSE" if batch.replaces else f"unit <> '{batch.unit}'"
    other = connection.execute(
        f"SELECT coalesce(min(unit), '{R}') FROM experimental_strategies LEFT JOIN {LOGS} l USING (strategy_id) "
        f"WHERE experimental_strategies.instrument = $1 AND strategy_id NOT IN (SELECT strategy_id FROM temp.imported) "
        f"AND CASE WHEN l.unit IS NULL THEN entry_model IS DISTINCT FROM '{TRADE_LOG}' AND $2 <> '{R}' ELSE {gone} END "
        "HAVING count(*) > 0",
        [batch.instrument, batch.unit],
    ).fetchone()
    if other:
        raise InputError(
            f"results of {batch.instrument} are in {other[0]}, and these in {batch.unit}; import them under another "
            "--instrument, or in the same unit"
        )


_CONTENT = ", ".join(name for name in TRADE_TABLES[TRADES] if name not in ("strategy_id", "source"))
_SAID = ("unit", "mean_result", "mean_cost", "refused", "remark", "trades_hash")
# Which strategies are not there as they are now, and whether they are there at all.
_NEWS = f"""
    CREATE OR REPLACE TEMP TABLE news AS
    WITH told AS (SELECT * REPLACE (i.strategy_id AS strategy_id), $unit::VARCHAR AS unit FROM temp.imported i),
    now AS (SELECT strategy_id, count(*) AS n, sum(hash({_CONTENT})) AS content
            FROM temp.trades_read GROUP BY strategy_id),
    before AS (SELECT strategy_id, count(*) AS n, sum(hash({_CONTENT})) AS content FROM {TRADES}
               WHERE strategy_id IN (SELECT strategy_id FROM told) GROUP BY strategy_id)
    SELECT t.strategy_id, l.strategy_id IS NOT NULL AS is_known
    FROM told t LEFT JOIN now USING (strategy_id) LEFT JOIN before USING (strategy_id)
    LEFT JOIN {LOGS} l USING (strategy_id)
    WHERE l.strategy_id IS NULL OR (now.n, now.content) IS DISTINCT FROM (before.n, before.content)
       OR ({", ".join(f"t.{name}" for name in _SAID)}) IS DISTINCT FROM ({", ".join(f"l.{name}" for name in _SAID)})
"""


def _changed(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Changes:
    connection.execute(_NEWS, {"unit": batch.unit})
    [(news, changed)] = connection.execute("SELECT count(*), count(*) FILTER (is_known) FROM temp.news").fetchall()
    [(total,)] = connection.execute("SELECT count(*) FROM temp.imported").fetchall()
    if changed:
        for table in (TRADES, LOGS):
            connection.execute(f"DELETE FROM {table} WHERE strategy_id IN (SELECT strategy_id FROM temp.news)")
    if news:
        _insert(connection, batch, every=news == total)
    gone, retired = _leave(connection, batch) if batch.replaces else (0, 0)
    _tell_aliases(connection, batch.instrument)
    [(aliases,)] = connection.execute(
        "SELECT count(*) FROM experimental_strategies WHERE is_canonical = FALSE AND strategy_id IN "
        "(SELECT strategy_id FROM temp.imported)"
    ).fetchall()
    return Changes(news - changed, changed, total - news, aliases, gone, retired)


def _insert(connection: duckdb.DuckDBPyConnection, batch: Batch, *, every: bool) -> None:
    names = ", ".join(TRADE_TABLES[TRADES])
    # Without a join they come as they lie.
    which = "" if every else " WHERE strategy_id IN (SELECT strategy_id FROM temp.news) ORDER BY row"
    connection.execute(f"INSERT INTO {TRADES} ({names}) SELECT {names} FROM temp.trades_read{which}")
    said = {"strategy_id": "strategy_id", "instrument": "$1", "unit": "$2", **{name: name for name in OF_LOG}}
    connection.execute(
        f"INSERT INTO {LOGS} ({', '.join(said)}) SELECT {', '.join(said.values())} "
        "FROM temp.imported JOIN temp.news USING (strategy_id) ORDER BY strategy_id",
        [batch.instrument, batch.unit],
    )
    there = {name.lower() for name, *_ in connection.execute("DESCRIBE experimental_strategies").fetchall()}
    columns = {
        "strategy_id": "strategy_id",
        "instrument": "$1",
        **PLAN,
        **{name: name for name in NUMBERS},
        "is_canonical": "TRUE",
        "validation_status": "CASE WHEN refused IS NOT NULL THEN 'FAILED' END",
        "validation_notes": "refused",
        **{name: "NULL" for name in ("canonical_strategy_id", *SPLIT) if name in there},
    }
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "strategy_id")
    connection.execute(
        f"INSERT INTO experimental_strategies ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
        "FROM temp.imported JOIN temp.news USING (strategy_id) ORDER BY strategy_id "
        f"ON CONFLICT (strategy_id) DO UPDATE SET {updates}",
        [batch.instrument],
    )


def _leave(connection: duckdb.DuckDBPyConnection, batch: Batch) -> tuple[int, int]:
    """Strategies that are no longer in the source: how many there were, and how many had an active setup."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE gone AS SELECT strategy_id FROM {LOGS} WHERE instrument = ? "
        "AND strategy_id NOT IN (SELECT strategy_id FROM temp.imported)",
        [batch.instrument],
    )
    of_gone = "strategy_id IN (SELECT strategy_id FROM temp.gone)"
    [(gone,)] = connection.execute("SELECT count(*) FROM temp.gone").fetchall()
    [(retired,)] = connection.execute(
        f"SELECT count(*) FROM validated_setups WHERE status = 'active' AND {of_gone}"
    ).fetchall()
    if gone:
        connection.execute(
            "UPDATE validated_setups SET status = 'retired', retired_at = now(), retirement_reason = $1 "
            f"WHERE status = 'active' AND {of_gone}",
            [GONE],
        )
        connection.execute(
            f"UPDATE experimental_strategies SET validation_status = 'SKIPPED', validation_notes = $1 WHERE {of_gone}",
            [GONE],
        )
        for table in (TRADES, LOGS):
            connection.execute(f"DELETE FROM {table} WHERE {of_gone}")
    return gone, retired


def _tell_aliases(connection: duckdb.DuckDBPyConnection, instrument: str) -> None:
    """Of the strategies with the same trades the first is canonical; one that becomes so, or no longer is, waits."""
    there = {name.lower() for name, *_ in connection.execute("DESCRIBE experimental_strategies").fetchall()}
    head = ", canonical_strategy_id = CASE WHEN h.head <> h.strategy_id THEN h.head END"
    connection.execute(
        "UPDATE experimental_strategies SET is_canonical = (h.head = h.strategy_id), validation_status = NULL, "
        f"validation_notes = NULL{head if 'canonical_strategy_id' in there else ''} FROM ("
        f"SELECT strategy_id, min(strategy_id) OVER (PARTITION BY trades_hash) AS head FROM {LOGS} "
        "WHERE instrument = $1 AND refused IS NULL) h WHERE experimental_strategies.strategy_id = h.strategy_id "
        "AND is_canonical IS DISTINCT FROM (h.head = h.strategy_id)",
        [instrument],
    )
