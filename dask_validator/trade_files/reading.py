"""Trades of any source as two tables on a connection: those that can be used, and the rows that cannot, with reasons.

`trades_read` has strategy_id, trading_day, exit_time, result (R, per cent of the capital, or money), risk, cost, side,
symbol, entry_time, source, row, and lies in order; `trades_bad` has strategy_id, reason, source, line. DuckDB reads
and keeps all rows; none becomes a Python object.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from dask_validator.errors import InputError
from dask_validator.store.connection import first_line, reading
from dask_validator.store.kinds import literal
from dask_validator.trade_files import bad_rows, loading, places
from dask_validator.trade_files.bad_rows import BadRows
from dask_validator.trade_files.cells import quoted
from dask_validator.trade_files.declaration import NATIVE, Format, named_format, tidy, told_by
from dask_validator.trade_files.in_order import put_in_order
from dask_validator.trade_files.loading import Reader
from dask_validator.trade_files.manners import Said, knows_zone, manner
from dask_validator.trade_files.mapping import Layout, layout, renamed
from dask_validator.trade_files.places import Place
from dask_validator.trade_files.relations import Relation, relations, release_frames
from dask_validator.trade_files.units import results

AS_WRITTEN = "as written"


class ReadOptions(NamedTuple):
    """What the user says about a source; None: told by the source, or asked for."""

    format: str | None = None
    unit: str | None = None  # "r", "return" or "money"
    timezone: str | None = None
    columns: Mapping[str, str] | Sequence[str] | str | Path | None = None  # theirs=ours, or a TOML file
    table: str | None = None  # of a DuckDB file
    date_order: str | None = None  # "mdy", "dmy" or "ymd"
    fees: str | None = None  # "included" or "excluded"
    cost_per_trade: float | None = None  # where a trade has none of its own; in what results are given in


class Reading(NamedTuple):
    """What was read."""

    format: str
    unit: str
    timezone: str  # by which days are told; AS_WRITTEN where times say no zone
    files: tuple[str, ...]
    bad: tuple[BadRows, ...]
    remarks: tuple[str, ...] = ()  # what a reader of the numbers must know


def read_trades(connection: duckdb.DuckDBPyConnection, source: Any, options: ReadOptions) -> Reading:
    """Make the temporary tables `trades_read` and `trades_bad` of the source.

    The source is a path (file, folder, glob, DuckDB file), a pandas or Arrow table, or a list of these.

    Raises
    ------
    InputError
        Nothing can be read, or something must be said: the unit, the zone, the order of dates, what became of fees.
    """
    _check_zone(options.timezone)
    said = layout(options.columns)
    wanted = _wanted(options.format, said)
    scratch = Path(tempfile.mkdtemp(prefix="dask-validator-"))
    try:
        with _reached(connection, places.places(source, options.table, scratch)) as found:
            return _read(connection, found, wanted, said, options)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_zone(name: str | None) -> None:
    try:
        ZoneInfo(name or "UTC")
    except (ValueError, OSError, LookupError):
        raise InputError(f"--timezone got {name}, which is no zone; give one such as America/New_York") from None


def _wanted(name: str | None, said: Layout) -> Format | None:
    if name is None and not said.columns:
        return None
    return renamed(named_format(name or NATIVE), said)


@contextmanager
def _reached(connection: duckdb.DuckDBPyConnection, found: list[Place]) -> Iterator[list[Place]]:
    """The same places, tables under the names by which the connection reaches them."""
    attached = {place.path: f"trade_database_{number}" for number, place in enumerate(found) if place.kind == "table"}
    mine = {
        row[0]: row[1] for row in connection.execute("SELECT path, database_name FROM duckdb_databases()").fetchall()
    }
    names = {path: mine.get(str(Path(path).absolute()), name) for path, name in attached.items()}
    try:
        for path, name in names.items():
            if name in attached.values():
                _attach(connection, path, name, [place.name for place in found if place.path == path])
        yield [
            place._replace(path=f"{quoted(names[place.path])}.{_table(place.name)}", name=f"{place.path}:{place.name}")
            if place.kind == "table"
            else place
            for place in found
        ]
    finally:
        for name in set(names.values()) & set(attached.values()):
            connection.execute(f"DETACH DATABASE IF EXISTS {quoted(name)}")


def _table(name: str) -> str:
    return ".".join(quoted(part) for part in name.split("."))


def _attach(connection: duckdb.DuckDBPyConnection, path: str, name: str, tables: list[str]) -> None:
    """Lend the connection another database, after a look at its tables where no view may read files."""
    with reading(path) as looking:
        for table in tables:
            looking.execute(f"SELECT * FROM {_table(table)} LIMIT 0")
    connection.execute(f"ATTACH {literal(path)} AS {quoted(name)} (TYPE duckdb, READ_ONLY)")


def _read(
    connection: duckdb.DuckDBPyConnection,
    found: list[Place],
    wanted: Format | None,
    said: Layout,
    options: ReadOptions,
) -> Reading:
    try:
        bad_rows.prepare(connection)
        readers: list[Reader] = []
        for relation in relations(connection, found, wanted, said):
            numbered = sum(len(reader.relation.places) for reader in readers)
            readers.append(
                _reader(connection, relation, wanted, said, options)._replace(
                    several=len(found) > 1, first_file=numbered
                )
            )
        _refuse_two_units(readers)
        _refuse_nameless(readers)
        bad_rows.forget_rejects(connection)
        for reader in readers:
            bad_rows.enter_files(connection, reader)
            connection.execute(loading.insert(reader))
        bad = bad_rows.set_aside(connection, readers)
        put_in_order(connection)
        bad = (*bad, *bad_rows.duplicates(connection))
        by_clock = any(knows_zone(connection, reader.relation, reader.one, reader.found) for reader in readers)
        release_frames(connection, [reader.relation for reader in readers])
    except duckdb.Error as error:
        raise InputError(f"{found[0].name} cannot be read: {first_line(error)}") from error
    _refuse_unusable(connection, bad, found)
    return Reading(
        format=", ".join(dict.fromkeys(reader.one.tool for reader in readers)),
        unit=readers[0].results.unit,
        timezone=(options.timezone or "UTC") if by_clock else AS_WRITTEN,
        files=tuple(place.name for place in found),
        bad=bad,
        remarks=_remarks(readers, options, by_clock=by_clock),
    )


def _reader(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    wanted: Format | None,
    said: Layout,
    options: ReadOptions,
) -> Reader:
    place, headers = relation.places[0].name, relation.cells
    _refuse_absent(headers, said, place)
    one = wanted or told_by(headers, place)
    if not one.fits(headers):
        needed = ", ".join(" or ".join(names) for names in one.needed)
        raise InputError(
            f"{place} has the columns {', '.join(headers)}; needed for {one.tool}: {needed}; rename yours with "
            "--columns theirs=ours"
        )
    one = one._replace(date_format=said.date_format or one.date_format)
    found = one.found(headers)
    return Reader(
        relation,
        one,
        found,
        manner(connection, relation, one, found, Said(options.timezone, options.date_order, said)),
        results(one, found, place, unit=options.unit, fees=options.fees),
        zone_said=options.timezone is not None,
        cost_per_trade=options.cost_per_trade,
    )


def _refuse_absent(headers: Mapping[str, Any], said: Layout, place: str) -> None:
    known = {tidy(header) for header in headers}
    if absent := [theirs for theirs in said.columns if tidy(theirs) not in known]:
        raise InputError(f"--columns names {absent[0]}, which {place} does not have; it has {', '.join(headers)}")


def _refuse_two_units(readers: Sequence[Reader]) -> None:
    units = {reader.results.unit: reader for reader in readers}
    if len(units) > 1:
        told = " and ".join(f"{reader.relation.places[0].name} in {unit}" for unit, reader in units.items())
        raise InputError(f"results are not in one unit: {told}; say one with --unit")


def _refuse_nameless(readers: Sequence[Reader]) -> None:
    """Raise InputError where nothing names the strategy, or two files' names are one."""
    by_name: dict[str, Place] = {}
    for place in [place for reader in readers if reader.by_file_name for place in reader.relation.places]:
        if place.strategy is None:
            raise InputError(f"{place.name} has no column strategy_id; add one, or rename yours with --columns")
        other = by_name.setdefault(place.strategy, place)
        if other is not place:
            raise InputError(
                f"{other.name} and {place.name} would be one strategy, {place.strategy}; rename one, or add a column "
                "strategy_id"
            )


def _refuse_unusable(connection: duckdb.DuckDBPyConnection, bad: Sequence[BadRows], found: Sequence[Place]) -> None:
    """Raise InputError where no row is left, or a zone must be said."""
    for kind in bad:
        if kind.reason == loading.FOREIGN_ZONE:
            raise InputError(
                f"times carry an offset that is not that of UTC (first: {kind.first}); say by which zone "
                "days are told with --timezone ZONE"
            )
    if not connection.execute("SELECT 1 FROM trades_read LIMIT 1").fetchall():
        told = "; ".join(f"{kind.reason}: {kind.rows:,} (first: {kind.first})" for kind in bad)
        raise InputError(f"{found[0].name} has no row that can be used; {told or 'it has no rows'}")


def _remarks(readers: Sequence[Reader], options: ReadOptions, *, by_clock: bool) -> tuple[str, ...]:
    """What a reader of the numbers must know beside them."""
    before_fees = dict.fromkeys(reader.one.tool for reader in readers if reader.one.before_fees)
    remarks = [f"{tool} writes results before fees: they are not in these numbers" for tool in before_fees]
    if options.timezone is not None and not by_clock:
        remarks.append(f"no time here carries a zone: --timezone {options.timezone} changes nothing")
    return tuple(remarks)
