"""The users' tables as docs/data-contract.md has them: which columns are read, which are written, of what kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import duckdb

from dask_validator.errors import InputError
from dask_validator.store.kinds import BOOLEAN, DATE, KINDS, NUMBER, TEXT, TIMESTAMP, Wanted
from dask_validator.store.our_tables import EARLIER, LATEST, NEEDED, OUR_TABLES, SPLIT
from dask_validator.store.trade_tables import ONLY_LOGS, TRADE_TABLES, refuse_others

# From the strategy's own row into validated_setups, inside SQL.
_COPIED_TEXT = {"instrument", "orb_label", "entry_model", "filter_type", "filter_params", "yearly_results"}
COPIED = {
    name: TEXT if name in _COPIED_TEXT else NUMBER
    for name in (
        *("instrument", "orb_label", "orb_minutes", "rr_target", "confirm_bars", "entry_model"),
        *("filter_type", "filter_params", "sample_size", "win_rate", "expectancy_r", "sharpe_ratio"),
        *("max_drawdown_r", "trades_per_year", "sharpe_ann", "yearly_results", "median_risk_dollars"),
        *("avg_risk_dollars", "avg_win_dollars", "avg_loss_dollars"),
    )
}
PROMOTED = {  # computed by a run for each promoted strategy; optional in older databases, added when missing
    "regime_waivers": "VARCHAR",
    "regime_waiver_count": "INTEGER",
    **SPLIT,
    "fdr_significant": "BOOLEAN",
    "fdr_adjusted_p": "DOUBLE",
}
OPTIONAL = {"experimental_strategies": SPLIT, "validated_setups": PROMOTED}

KEYS = {"dask_validator_runs": ("PRIMARY KEY", ["run_id"])}

TABLES: dict[str, Wanted] = {
    "experimental_strategies": {
        "strategy_id": TEXT,
        **COPIED,
        "median_risk_points": NUMBER,
        "avg_risk_points": NUMBER,
        "p_value": NUMBER,
        "is_canonical": BOOLEAN,
        "validation_status": TEXT,
        "validation_notes": TEXT,
    },
    "daily_features": {
        "trading_day": DATE,
        "symbol": TEXT,
        "orb_minutes": NUMBER,
        "atr_20": NUMBER,
        "day_of_week": NUMBER,
    },
    "validated_setups": {
        "strategy_id": TEXT,
        "promoted_at": TIMESTAMP,
        "promoted_from": TEXT,
        **COPIED,
        "years_tested": NUMBER,
        "all_years_positive": BOOLEAN,
        "stress_test_passed": BOOLEAN,
        "status": TEXT,
        "retired_at": TIMESTAMP,
        "retirement_reason": TEXT,
    },
}
WRITTEN = {
    "experimental_strategies": {"validation_status", "validation_notes", *SPLIT},
    "validated_setups": {*TABLES["validated_setups"], *PROMOTED},
}
KEPT_ON_CONFLICT = {"strategy_id", "promoted_at", "promoted_from"}  # in a setup that is there already


_HAS_TABLE = (
    "SELECT 1 FROM duckdb_columns() WHERE lower(table_name) = ? AND schema_name = 'main' "
    "AND database_name = current_database() LIMIT 1"
)
_KIND_OF = {"INTEGER": NUMBER, "DOUBLE": NUMBER, "VARCHAR": TEXT, "BOOLEAN": BOOLEAN}


class Column(NamedTuple):
    """One column as the catalogue declares it."""

    name: str
    kind: str
    not_null: bool
    has_default: bool
    generated_as: str | None  # the expression


class Constraint(NamedTuple):
    """One constraint of a table as the catalogue has it; names in lower case."""

    kind: str
    expression: str | None  # of a CHECK
    columns: list[str]
    sql: str


class Catalogue(NamedTuple):
    """The tables of the contract as this database has them; column names in lower case."""

    tables: Mapping[str, Mapping[str, Column]]

    def lacking(self, table: str) -> dict[str, str]:
        """Optional columns that the table does not have yet, with the type to add."""
        return {name: kind for name, kind in OPTIONAL.get(table, {}).items() if name not in self.tables[table]}

    def not_null(self, table: str) -> frozenset[str]:
        """Columns that the table declares NOT NULL."""
        return frozenset(column.name for column in self.tables[table].values() if column.not_null)

    def needed_to_promote(self) -> list[str]:
        """Copied columns that must not be NULL in a promoted row."""
        needed = {"filter_type", "win_rate"} | self.not_null("validated_setups")
        return [name for name in COPIED if name in needed]


def read_catalogue(
    connection: duckdb.DuckDBPyConnection, of_source: Mapping[str, Wanted] = MappingProxyType({})
) -> Catalogue:
    """The catalogue, checked against the contract.

    Parameters
    ----------
    of_source
        Tables that the source of the outcomes needs besides (`sources.source.Source.tables`).

    Raises
    ------
    InputError
        A table or column is missing, is of another kind, or could not be filled by us.
    """
    needed = {**TABLES, **of_source}
    tables, found = _columns(connection, [*needed, *OUR_TABLES, *TRADE_TABLES]), constraints(connection)
    missing = [table for table in needed if not tables[table]]
    if missing and not _can_do_without(connection, missing, tables):
        names = f"{', '.join(needed)} (docs/data-contract.md)"
        raise InputError(f"the database has no table {missing[0]}; needed {names}")
    for table in needed.keys() - set(missing):
        _check(table, tables[table], needed[table])
    _check_fillable("validated_setups", tables["validated_setups"], WRITTEN["validated_setups"])
    for table in ("experimental_strategies", "validated_setups"):
        _check_key(table, found.get(table, []))
    _check_ours(connection, tables, found)
    refuse_others(connection, {table: {n: c.kind for n, c in tables[table].items()} for table in TRADE_TABLES})
    return Catalogue(tables)


def _can_do_without(
    connection: duckdb.DuckDBPyConnection, missing: Collection[str], tables: Mapping[str, Mapping[str, Column]]
) -> bool:
    """Outcomes and features are for strategies of the users' own; those whose trades were imported use neither."""
    strategies = tables["experimental_strategies"]
    if not {"entry_model"} <= strategies.keys() or {"experimental_strategies", "validated_setups"} & set(missing):
        return False
    [(all_imported,)] = connection.execute(f"SELECT {ONLY_LOGS} FROM experimental_strategies").fetchall()
    return bool(all_imported)


def has_table(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether there is a table or view of that name."""
    return connection.execute(_HAS_TABLE, [table]).fetchone() is not None


def _columns(connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, dict[str, Column]]:
    """By table or view of those named, none of one that is not there, and by name; all in lower case."""
    rows = connection.execute(
        "SELECT lower(table_name), lower(column_name), data_type, NOT is_nullable, column_default "
        "FROM duckdb_columns() WHERE lower(table_name) IN (SELECT unnest(?::VARCHAR[])) AND schema_name = 'main' "
        "AND database_name = current_database()",
        [list(tables)],
    ).fetchall()
    found: dict[str, list[tuple[str, str, bool, str | None]]] = {table: [] for table in tables}
    for table, *column in rows:
        found[table].append((*column,))
    return {table: _described(connection, table, columns) if columns else {} for table, columns in found.items()}


def _described(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[tuple[str, str, bool, str | None]]
) -> dict[str, Column]:
    # The catalogue has the expression of a generated column as its default, DESCRIBE has none. It also binds a view,
    # which fails here and not later when that would need what we may not reach.
    defaults = dict(connection.execute(f'SELECT lower(column_name), "default" FROM (DESCRIBE {table})').fetchall())
    return {
        name: Column(name, kind, not_null, defaults[name] is not None, None if defaults[name] else expression)
        for name, kind, not_null, expression in columns
    }


def constraints(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Constraint]]:
    """By table in lower case, of those that have any."""
    rows = connection.execute(
        "SELECT lower(table_name), constraint_type, expression, constraint_column_names, constraint_text "
        "FROM duckdb_constraints() WHERE schema_name = 'main' AND database_name = current_database() "
        "ORDER BY constraint_index"
    ).fetchall()
    found: dict[str, list[Constraint]] = {}
    for table, kind, expression, names, sql in rows:
        constraint = Constraint(kind, expression, [name.lower() for name in names], sql)
        found.setdefault(table, []).append(constraint)
    return found


def _check_ours(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, Mapping[str, Column]],
    found: Mapping[str, Sequence[Constraint]],
) -> None:
    """Our own tables, where they are there, must be as we make them: others of that name would sink every commit."""
    objects = dict(
        connection.execute(
            "SELECT lower(table_name), 'table' FROM duckdb_tables() WHERE schema_name = 'main' "
            "AND database_name = current_database() UNION ALL SELECT lower(view_name), sql FROM duckdb_views() "
            "WHERE schema_name = 'main' AND database_name = current_database()"
        ).fetchall()
    )
    for table, wanted in OUR_TABLES.items():
        if objects.get(table, "table") != "table":
            raise InputError(f"{table} is not the table that runs are recorded in (it is a view); rename or drop it")
        if not (columns := tables[table]):
            continue
        strange = [name for name, kind in wanted.items() if name in columns and columns[name].kind != kind]
        strange += [name for name in wanted if name in columns and columns[name].generated_as is not None]
        strange += [name for name in NEEDED[table] if name not in columns]
        if strange:
            what = f"its {', '.join(strange)} {'is' if len(strange) == 1 else 'are'} other"
            raise InputError(f"{table} is not the table that runs are recorded in ({what}); rename or drop it")
        _check_fillable(table, columns, {**wanted, **EARLIER.get(table, {})})
        if refusing := _refusing(connection, table, found.get(table, [])):
            raise InputError(
                f"{table} has {', '.join(refusing)}, which may refuse the record of a run; rename or drop the table"
            )
    if "dask_validator_results" not in objects.get(LATEST, "dask_validator_results"):
        raise InputError(f"{LATEST} is not our view of the latest verdicts, which a run makes anew; rename or drop it")


def _refusing(connection: duckdb.DuckDBPyConnection, table: str, found: Iterable[Constraint]) -> list[str]:
    """What a record could run into, as SQL; a key of run_id and columns that are NOT NULL are ours."""
    ours = {"NOT NULL"} if table in EARLIER else set()
    refusing = [
        constraint.sql
        for constraint in found
        if constraint.kind not in ours and (constraint.kind, constraint.columns) != KEYS.get(table)
    ]
    indexes = connection.execute(
        "SELECT sql FROM duckdb_indexes() WHERE lower(table_name) = ? AND schema_name = 'main' "
        "AND database_name = current_database() AND is_unique AND NOT is_primary",
        [table],
    )
    return refusing + [text.rstrip(";") for (text,) in indexes.fetchall()]


def _check(table: str, columns: Mapping[str, Column], wanted: Mapping[str, str]) -> None:
    if missing := [name for name in wanted if name not in columns]:
        raise InputError(f"table {table} has no column {', '.join(missing)}; add it, then run again")
    optional = {name: _KIND_OF[kind] for name, kind in OPTIONAL.get(table, {}).items() if name in columns}
    for name, kind in {**wanted, **optional}.items():
        if columns[name].kind.split("(")[0] not in KINDS[kind]:  # ENUM and DECIMAL go on in parentheses
            raise InputError(f"column {table}.{name} is {columns[name].kind}; needed {kind}")


def _check_key(table: str, found: Iterable[Constraint]) -> None:
    if ["strategy_id"] not in [each.columns for each in found if each.kind in ("PRIMARY KEY", "UNIQUE")]:
        raise InputError(f"table {table} has no primary key strategy_id; needed one, or rows could be mistaken")


def _check_fillable(table: str, columns: Mapping[str, Column], ours: Collection[str]) -> None:
    strange = [c.name for c in columns.values() if c.not_null and not c.has_default and c.name not in ours]
    if strange:
        raise InputError(
            f"table {table} declares {', '.join(strange)} NOT NULL without a default, and we do not write it; "
            "give it a default, then run again"
        )
