"""What the main process reads before it computes, through read-only connections that it then closes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from dask_validator.config import Promotion
from dask_validator.errors import InputError
from dask_validator.model import TRADE_LOG, Outlook, R, Strategy
from dask_validator.rules.fdr import Correction
from dask_validator.rules.promotion import mode_column
from dask_validator.store.connection import make_room, read, reading, with_room
from dask_validator.store.contract import UNRETIRED, Catalogue, read_catalogue
from dask_validator.store.fingerprints import Fingerprints, read_fingerprints, row_fingerprint
from dask_validator.store.kinds import quoted
from dask_validator.store.past_runs import LastRun, last_run
from dask_validator.store.ruled import NOTHING_ASKED
from dask_validator.store.selection import EVERY, FAILED, WAITING, Selection
from dask_validator.store.trade_tables import LOGS, ONLY_LOGS

if TYPE_CHECKING:
    from dask_validator.sources.source import Source

# DECIMAL and FLOAT are welcome.
DOUBLES = {
    "p_value",
    "rr_target",
    "sample_size",
    "win_rate",
    "expectancy_r",
    "sharpe_ratio",
    "max_drawdown_r",
    "median_risk_points",
    "avg_risk_points",
    "sharpe_ann",
}
BATCH = 100  # rows, each of which may have a megabyte
COLUMNS, TEXT = 5_000, 1 << 24  # strategies that are looked at together, and characters of them
_OF_LOGS = "mean_result, mean_cost, refused AS log_refused, remark AS log_remark"


UNAVAILABLE = "its trades are not in the database: import them again"


class Facts(NamedTuple):
    """What a run needs to know of an instrument beside the strategies to validate."""

    waiting: int
    atr_by_year: Mapping[int, float]  # mean atr_20 in points
    p_values: NDArray[np.float64]  # of all canonical strategies that have one, no NaN, in no order
    expectancies: NDArray[np.float64]  # mean R of the same strategies, NaN where it is unknown
    active_setups: frozenset[str]  # strategy_ids that are promoted now
    unretired_setups: frozenset[str]  # and all whose setup is of any use still
    setups_not_null: frozenset[str]  # columns that validated_setups declares NOT NULL
    catalogue: Catalogue  # as long as the database is kept open, it need not be read again
    last_run: LastRun | None = None  # looked up only when nothing is waiting
    unit: str = R  # of the results of a trade
    replays_stops: bool = False  # outcomes say enough to be replayed under a tighter stop
    left_failed: int = 0  # by the import, where those that wait are validated

    @property
    def correction(self) -> Correction:
        """The tested strategies, corrected for each other."""
        return Correction.over(self.p_values, self.expectancies)


class Survey(NamedTuple):
    """What takes a scan of the whole instrument."""

    outcomes: Outlook
    fingerprints: Fingerprints  # by table and source


def read_facts(
    path: str | Path, instrument: str, selection: Selection = WAITING, promotion: Promotion = NOTHING_ASKED
) -> Facts:
    """Read what is small; the selection says which strategies wait to be validated.

    Raises
    ------
    InputError
        The database cannot be read or does not keep docs/data-contract.md.
    """
    return read(path, lambda connection: _facts(connection, instrument, selection, promotion))


def _facts(connection: duckdb.DuckDBPyConnection, instrument: str, selection: Selection, promotion: Promotion) -> Facts:
    catalogue = read_catalogue(connection, promotion=promotion)
    refuse_repeated_features(connection, catalogue, instrument)
    refuse_nameless(connection, instrument, selection)
    count = count_selected(connection, instrument, selection)
    p_values, expectancies = _tested(connection, instrument)
    return Facts(
        count,
        _atr_by_year(connection, catalogue, instrument),
        p_values,
        expectancies,
        _setups(connection, "lower(status) = 'active'"),
        _setups(connection, UNRETIRED),
        catalogue.not_null("validated_setups"),
        catalogue,
        None if count else last_run(connection, instrument),
        unit_of(connection, catalogue, instrument),
        left_failed=_left_failed(connection, catalogue, instrument) if count and selection == WAITING else 0,
    )


def read_waiting(
    path: str | Path, instrument: str, selection: Selection = WAITING, catalogue: Catalogue | None = None
) -> Generator[list[Strategy]]:
    """Yield the strategies to validate, in no order; the connection is open until the last one was taken.

    In no order, because sorting would hold a million rows at once; as many at a time as columns need to be fast, but
    hardly more text than memory has room for.
    """
    batch: list[Strategy] = []
    size = 0
    with reading(path) as connection:
        query = _rows(selection, catalogue or read_catalogue(connection))
        for rows in _fetched(connection, path, query, selection.parameters(instrument)):
            some = [*map(Strategy._make, rows)]
            batch += some
            size += sum(len(row.yearly_results or "") + len(row.filter_params or "") for row in some)
            if len(batch) >= COLUMNS or size > TEXT:
                yield batch
                batch, size = [], 0
    yield batch


def _fetched(
    connection: duckdb.DuckDBPyConnection, path: str | Path, query: str, parameters: dict[str, Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of a query; begun again with more memory, after those that were taken, where they are too long."""
    taken, has_room = 0, False
    while True:
        try:
            result = connection.execute(query, parameters)
            for _ in range(taken):
                result.fetchmany(BATCH)
            while rows := result.fetchmany(BATCH):
                yield rows
                taken += 1
            return
        except duckdb.OutOfMemoryException:
            if has_room or not make_room(connection, path):
                raise
            has_room = True


class Stored(NamedTuple):
    """One row of `experimental_strategies`, waiting or not."""

    strategy: Strategy
    instrument: str
    status: str | None
    note: str | None
    canonical_id: str | None = None  # the strategy that an alias stands for, where the database tells


def read_strategy(path: str | Path, strategy_id: str, promotion: Promotion = NOTHING_ASKED) -> Stored:
    """The row of that id.

    Raises
    ------
    InputError
        There is none, or it has no instrument.
    """
    return read(path, lambda connection: _stored(connection, path, strategy_id, promotion))


def _stored(connection: duckdb.DuckDBPyConnection, path: str | Path, strategy_id: str, promotion: Promotion) -> Stored:
    found = connection.execute(
        "SELECT instrument, validation_status, validation_notes FROM experimental_strategies "
        "WHERE strategy_id = ? AND instrument IS NOT NULL",
        [strategy_id],
    ).fetchone()
    if found is None:
        alike = connection.execute(
            "SELECT strategy_id FROM experimental_strategies WHERE strategy_id IS NOT NULL "
            "ORDER BY jaro_winkler_similarity(strategy_id, ?) DESC, strategy_id LIMIT 3",
            [strategy_id],
        ).fetchall()
        hint = f"; the nearest are {', '.join(name for (name,) in alike)}" if alike else ""
        raise InputError(f"got the strategy {strategy_id!r}, which {path} does not have{hint}")
    catalogue = read_catalogue(connection, promotion=promotion)
    instrument, status, note = found
    this = EVERY._replace(ids=(strategy_id,))
    row = connection.execute(_rows(this, catalogue), this.parameters(instrument)).fetchone()
    canonical_id = _canonical_id(connection, catalogue, strategy_id)
    return Stored(Strategy._make(row or ()), instrument, status, note, canonical_id)


def _canonical_id(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, strategy_id: str) -> str | None:
    if "canonical_strategy_id" not in catalogue.tables["experimental_strategies"]:
        return None
    query = "SELECT canonical_strategy_id::VARCHAR FROM experimental_strategies WHERE strategy_id = ?"
    [(canonical_id,)] = connection.execute(query, [strategy_id]).fetchall()
    return None if canonical_id == strategy_id else canonical_id


def survey(
    connection: duckdb.DuckDBPyConnection,
    path: str | Path,
    instrument: str,
    source: Source,
    catalogue: Catalogue,
    *,
    all_features: bool,
) -> Survey:
    """Scan outcomes, features and strategies once."""
    outcomes = with_room(connection, path, lambda: source.survey(connection, instrument))
    fingerprints = with_room(
        connection, path, lambda: read_fingerprints(connection, catalogue, instrument, all_features=all_features)
    )
    return Survey(outcomes, {source.name: outcomes.fingerprint, **fingerprints})


def refuse_repeated_features(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str) -> None:
    """Raise InputError when a day has two features rows: which one counts would be chance."""
    if not catalogue.tables["daily_features"]:
        return
    row = connection.execute(
        "SELECT trading_day::VARCHAR, orb_minutes, count(*) FROM daily_features WHERE symbol = ? "
        "AND trading_day IS NOT NULL AND orb_minutes IS NOT NULL "  # no outcome meets the others
        "GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1",
        [instrument],
    ).fetchone()
    if row:
        raise InputError(
            f"daily_features has {row[2]} rows for {instrument} on {row[0]} with orb_minutes {row[1]}; "
            "needed one (symbol, trading_day, orb_minutes is its primary key)"
        )


def refuse_nameless(connection: duckdb.DuckDBPyConnection, instrument: str, selection: Selection = WAITING) -> None:
    """Raise InputError for strategies to validate without a strategy_id, which a UNIQUE column admits."""
    count = count_selected(connection, instrument, selection.where("strategy_id IS NULL"))
    if count:
        kind = selection.strategies.removesuffix("strategies")
        raise InputError(
            f"experimental_strategies has {count} {kind}row(s) of {instrument} without a strategy_id; "
            "delete them, or give each one"
        )


def count_selected(connection: duckdb.DuckDBPyConnection, instrument: str, selection: Selection) -> int:
    """How many there are."""
    query = f"SELECT count(*) FROM experimental_strategies WHERE {selection.condition}"
    [(count,)] = connection.execute(query, selection.parameters(instrument)).fetchall()
    return int(count)


def _rows(selection: Selection, catalogue: Catalogue) -> str:
    lacking = catalogue.lacking("experimental_strategies")
    missing = ", ".join(f"CASE WHEN {name} IS NULL THEN '{name}' END" for name in catalogue.needed_to_promote())
    columns = {name: f"{name}::DOUBLE" if name in DOUBLES else name for name in Strategy._fields}
    columns |= {name: f"NULL::{kind}" for name, kind in lacking.items()}
    columns |= _where_there(catalogue)
    columns["missing"] = f"concat_ws(', ', {missing})"
    columns["fingerprint"] = row_fingerprint(catalogue)
    columns |= dict.fromkeys(("mean_result", "mean_cost", "log_remark"), "NULL")
    columns["log_refused"] = f"CASE WHEN entry_model = '{TRADE_LOG}' THEN '{UNAVAILABLE}' END"
    columns["is_gated"] = "TRUE"
    table = "experimental_strategies"
    if catalogue.tables[LOGS]:
        table += f" LEFT JOIN (SELECT strategy_id, unit AS log_unit, {_OF_LOGS} FROM {LOGS}) l USING (strategy_id)"
        columns |= {name: f"l.{name}" for name in ("mean_result", "mean_cost", "log_remark")}
        columns["log_refused"] = f"CASE WHEN l.log_unit IS NULL THEN {columns['log_refused']} ELSE l.log_refused END"
    return f"SELECT {', '.join(columns.values())} FROM {table} WHERE {selection.condition}"


def _where_there(catalogue: Catalogue) -> dict[str, str]:
    stop, mode = "stop_multiplier", mode_column(catalogue.promotion)
    there = catalogue.read_where_there()
    return {
        stop: f"{stop}::DOUBLE" if stop in there else "NULL::DOUBLE",
        "mode": f"{quoted(mode)}::VARCHAR" if mode in there else "NULL::VARCHAR",
    }


def all_imported(path: str | Path, instrument: str) -> bool:
    """Whether the trades of all strategies of the instrument were imported; False where that cannot be read."""
    query = f"SELECT {ONLY_LOGS} FROM experimental_strategies WHERE instrument = ?"
    try:
        return bool(read(path, lambda connection: connection.execute(query, [instrument]).fetchall())[0][0])
    except InputError:
        return False


def unit_of(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str) -> str:
    """The unit of the results: R, but for imported trades, which have one unit for each instrument."""
    if not catalogue.tables[LOGS]:
        return R
    found = connection.execute(f"SELECT unit FROM {LOGS} WHERE instrument = ? LIMIT 1", [instrument]).fetchone()
    return str(found[0]) if found else R


def _left_failed(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str) -> int:
    if not catalogue.tables[LOGS]:
        return 0
    by_import = f"strategy_id IN (SELECT strategy_id FROM {LOGS} WHERE refused IS NOT NULL)"
    return count_selected(connection, instrument, FAILED.where(by_import))


def _atr_by_year(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str) -> dict[int, float]:
    if not catalogue.tables["daily_features"]:
        return {}
    columns = connection.execute(
        "SELECT year(trading_day) AS year, atr_20::DOUBLE AS atr FROM daily_features "
        "WHERE symbol = ? AND orb_minutes = 5 AND atr_20 IS NOT NULL AND isfinite(trading_day) ORDER BY trading_day",
        [instrument],
    ).fetchnumpy()
    years, index = np.unique(np.asarray(columns["year"]), return_inverse=True)
    if not years.size:
        return {}
    means = np.bincount(index, weights=columns["atr"]) / np.bincount(index)
    return dict(zip(years.tolist(), means.tolist(), strict=True))


def _tested(connection: duckdb.DuckDBPyConnection, instrument: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P-values and expectancies of the strategies that are corrected for each other."""
    columns = connection.execute(
        "SELECT p_value::DOUBLE AS p, ifnull(expectancy_r::DOUBLE, 'NaN') AS r FROM experimental_strategies "
        "WHERE instrument = ? AND is_canonical AND NOT isnan(p_value::DOUBLE)",
        [instrument],
    ).fetchnumpy()
    return np.asarray(columns["p"], dtype=np.float64), np.asarray(columns["r"], dtype=np.float64)


def _setups(connection: duckdb.DuckDBPyConnection, condition: str) -> frozenset[str]:
    rows = connection.execute(f"SELECT strategy_id FROM validated_setups WHERE {condition}").fetchall()
    return frozenset(strategy_id for (strategy_id,) in rows)
