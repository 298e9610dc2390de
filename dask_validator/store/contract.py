"""The users' tables as docs/data-contract.md has them: which columns are read, which are written, of what kind."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import duckdb

from dask_validator.config import Promotion
from dask_validator.errors import InputError
from dask_validator.rules.promotion import mode_column
from dask_validator.store.kinds import BOOLEAN, DATE, NUMBER, TEXT, TIMESTAMP, Wanted, is_of, quoted
from dask_validator.store.our_tables import EARLIER, LATEST, NEEDED, OUR_TABLES, SPLIT
from dask_validator.store.ruled import NOTHING_ASKED, check_rules, said_names
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

# Read and written where the users' tables have them, never added: a default of theirs must decide nothing.
READ_WHERE_THERE = {"stop_multiplier": NUMBER}
WRITTEN_WHERE_THERE: dict[str, Wanted] = {
    "experimental_strategies": {"rejection_reason": TEXT, "c8_oos_status": TEXT, "validation_pathway": TEXT},
    "validated_setups": {
        "stop_multiplier": NUMBER,
        "n_trials_at_discovery": NUMBER,
        "max_year_pct": NUMBER,
        "era_dependent": BOOLEAN,
        "wf_tested": BOOLEAN,
        "wf_passed": BOOLEAN,
        "wf_windows": NUMBER,
        "wfe": NUMBER,
        "oos_exp_r": NUMBER,
        "noise_risk": BOOLEAN,
        "first_trade_day": DATE,
        "last_trade_day": DATE,
        "trade_day_count": NUMBER,
        "discovery_k": NUMBER,
        "discovery_date": DATE,
        "validation_pathway": TEXT,
        "c8_oos_status": TEXT,
        "verdict_ceiling": TEXT,
        "pseudo_oos_window_start": DATE,
        "pseudo_oos_window_end": DATE,
        "validation_run_id": TEXT,
        "promotion_git_sha": TEXT,
    },
}
LEFT = {  # to the user, of what we know: a default there is no surprise
    *("promoted_at", "promoted_from", "execution_spec", "family_hash", "is_family_head", "sharpe_ann_adj", "dsr_score"),
    *("sr0_at_discovery", "wfe_verdict", "wfe_investigation_date", "wfe_investigation_notes"),
    "slippage_validation_status",
}

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
_WRITTEN = {
    "experimental_strategies": {"validation_status", "validation_notes", *SPLIT},
    "validated_setups": {*TABLES["validated_setups"], *PROMOTED},
}
KEPT_ON_CONFLICT = {"strategy_id", "promoted_at", "promoted_from"}  # in a setup that is there already
UNRETIRED = (
    "lower(validated_setups.status) IS DISTINCT FROM 'retired'"  # in SQL: who reads setups looks at lower(status)
)

_HAS_TABLE = (
    "SELECT 1 FROM duckdb_columns() WHERE lower(table_name) = ? AND schema_name = 'main' "
    "AND database_name = current_database() LIMIT 1"
)
_SIZE = re.compile(r"orb_(.+)_size")
_KIND_OF = {"INTEGER": NUMBER, "DOUBLE": NUMBER, "VARCHAR": TEXT, "BOOLEAN": BOOLEAN}


class Column(NamedTuple):
    """One column as the catalogue declares it."""

    name: str
    kind: str
    not_null: bool
    default: str | None  # in SQL
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
    promotion: Promotion = NOTHING_ASKED
    sessions: frozenset[str] = frozenset()  # labels that daily_features has a size of, as they are spelled there

    def lacking(self, table: str) -> dict[str, str]:
        """Optional columns that the table does not have yet, with the type to add."""
        return {name: kind for name, kind in OPTIONAL.get(table, {}).items() if name not in self.tables[table]}

    def not_null(self, table: str) -> frozenset[str]:
        """Columns that the table declares NOT NULL."""
        return frozenset(column.name for column in self.tables[table].values() if column.not_null)

    def needed_to_promote(self) -> list[str]:
        """Copied columns that must not be NULL in a promoted row."""
        needed = {"filter_type", "win_rate"} | self.not_null("validated_setups")
        return [name for name in self.copied if name in needed]

    @property
    def copied(self) -> list[str]:
        """What a setup takes from the strategy's own row, inside SQL."""
        return [*COPIED, *(name for name in self.promotion.copy if name not in COPIED)]

    def has(self, table: str, name: str) -> bool:
        """Whether the table has that column."""
        return name in self.tables.get(table, ())

    def where_there(self, table: str) -> dict[str, str]:
        """What is written because this table happens to have it, and of what kind it is."""
        wanted = {**WRITTEN_WHERE_THERE.get(table, {})}
        if table == "validated_setups":
            wanted[mode_column(self.promotion)] = TEXT
        return {name: kind for name, kind in wanted.items() if self.has(table, name)}

    def written(self, table: str) -> set[str]:
        """All columns of a table of the user's that a run writes."""
        names = self.written_by_every_run(table)
        return names | said_names(self.promotion) if table == "validated_setups" else names

    def written_by_every_run(self, table: str) -> set[str]:
        """All columns of a table of the user's that a run writes, whatever its rules say."""
        return _WRITTEN[table] | self.where_there(table).keys()

    def read_where_there(self) -> dict[str, str]:
        """What is read of a strategy because its table has it, and of what kind it is."""
        wanted = {**READ_WHERE_THERE, mode_column(self.promotion): TEXT}
        return {name: kind for name, kind in wanted.items() if self.has("experimental_strategies", name)}

    def unset_defaults(self) -> dict[str, str]:
        """By column of validated_setups that nobody sets in a new row: the default that the user's table sets there."""
        nobodys = self.tables["validated_setups"].keys() - self.written("validated_setups") - LEFT
        columns = (self.tables["validated_setups"][name] for name in sorted(nobodys))
        return {c.name: c.default for c in columns if c.default not in (None, "NULL") and c.generated_as is None}


def read_catalogue(
    connection: duckdb.DuckDBPyConnection,
    of_source: Mapping[str, Wanted] = MappingProxyType({}),
    promotion: Promotion = NOTHING_ASKED,
) -> Catalogue:
    """The catalogue, checked against the contract.

    Parameters
    ----------
    of_source
        Tables that the source of the outcomes needs besides (`sources.source.Source.tables`).
    promotion
        What the rules ask of it.

    Raises
    ------
    InputError
        A table or column is missing, is of another kind, or could not be filled by us.
    """
    needed = {**TABLES, **of_source}
    log = [promotion.run_log.lower()] if promotion.run_log else []
    tables, found = columns_of(connection, [*needed, *OUR_TABLES, *TRADE_TABLES, *log]), constraints(connection)
    missing = [table for table in needed if not tables[table]]
    if missing and not _can_do_without(connection, missing, tables):
        names = f"{', '.join(needed)} (docs/data-contract.md)"
        raise InputError(f"the database has no table {missing[0]}; needed {names}")
    for table in needed.keys() - set(missing):
        _check(table, tables[table], needed[table])
    catalogue = Catalogue(tables, promotion)
    _check_where_there(catalogue)
    check_rules(connection, catalogue, catalogue.written_by_every_run("validated_setups"))
    _check_fillable("validated_setups", tables["validated_setups"], catalogue.written("validated_setups"))
    for table in ("experimental_strategies", "validated_setups"):
        _check_key(table, found.get(table, []))
    _check_ours(connection, tables, found)
    refuse_others(connection, _kinds({table: tables[table] for table in TRADE_TABLES}))
    return catalogue._replace(sessions=_sessions(connection) if tables["daily_features"] else frozenset())


def _sessions(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    rows = connection.execute("SELECT column_name FROM (DESCRIBE daily_features)").fetchall()
    return frozenset(found[1] for (name,) in rows if (found := _SIZE.fullmatch(name)))


def _can_do_without(
    connection: duckdb.DuckDBPyConnection, missing: Collection[str], tables: Mapping[str, Mapping[str, Column]]
) -> bool:
    """Outcomes and features are for strategies of the users' own; those whose trades were imported use neither."""
    strategies = tables["experimental_strategies"]
    if not {"entry_model"} <= strategies.keys() or {"experimental_strategies", "validated_setups"} & set(missing):
        return False
    [(all_imported,)] = connection.execute(f"SELECT {ONLY_LOGS} FROM experimental_strategies").fetchall()
    return bool(all_imported)


def kinds(connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, dict[str, str]]:
    """By table or view, none of one that is not there, and by column: its type."""
    return _kinds(columns_of(connection, tables))


def _kinds(tables: Mapping[str, Mapping[str, Column]]) -> dict[str, dict[str, str]]:
    return {table: {name: column.kind for name, column in columns.items()} for table, columns in tables.items()}


def has_table(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether there is a table or view of that name."""
    return connection.execute(_HAS_TABLE, [table]).fetchone() is not None


def columns_of(connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, dict[str, Column]]:
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
    defaults = dict(
        connection.execute(f'SELECT lower(column_name), "default" FROM (DESCRIBE {quoted(table)})').fetchall()
    )
    return {
        name: Column(name, kind, not_null, defaults[name], None if defaults[name] else expression)
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


def foreign_keys(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """Who refers to a table, and when its row t is the one that a row c of theirs refers to, in SQL."""
    rows = connection.execute(
        "SELECT table_name, constraint_column_names, referenced_column_names FROM duckdb_constraints() "
        "WHERE lower(referenced_table) = ? AND schema_name = 'main' AND database_name = current_database() "
        "ORDER BY ALL",
        [table],
    ).fetchall()
    return [
        (
            name,
            " AND ".join(f"t.{quoted(to)} = c.{quoted(of)}" for of, to in zip(columns, referenced, strict=True)),
        )
        for name, columns, referenced in rows
    ]


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
        _check_kind(table, columns[name], kind)


def _check_kind(table: str, column: Column, kind: str) -> None:
    if not is_of(column.kind, kind):
        raise InputError(f"column {table}.{column.name} is {column.kind}; needed {kind}")


def _check_where_there(catalogue: Catalogue) -> None:
    for table in WRITTEN_WHERE_THERE:
        for name, kind in catalogue.where_there(table).items():
            _check_kind(table, catalogue.tables[table][name], kind)
    for name, kind in catalogue.read_where_there().items():
        _check_kind("experimental_strategies", catalogue.tables["experimental_strategies"][name], kind)


def _check_key(table: str, found: Iterable[Constraint]) -> None:
    if ["strategy_id"] not in [each.columns for each in found if each.kind in ("PRIMARY KEY", "UNIQUE")]:
        raise InputError(f"table {table} has no primary key strategy_id; needed one, or rows could be mistaken")


def _check_fillable(table: str, columns: Mapping[str, Column], ours: Collection[str]) -> None:
    strange = [c.name for c in columns.values() if c.not_null and c.default is None and c.name not in ours]
    if strange:
        raise InputError(
            f"table {table} declares {', '.join(strange)} NOT NULL without a default, and we do not write it; "
            "give it a default, then run again"
        )
