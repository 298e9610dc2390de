"""What can be wrong with a database, by name: values, rows, types, columns, tables, constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

import duckdb

from dask_validator.sources import orb_outcomes
from dask_validator.store import contract, trade_tables
from dask_validator.store.contract import OPTIONAL
from dask_validator.store.kinds import DATE, NUMBER, TEXT

DEEP, MANY, DIGITS = 10_000, 50_000, "9" * 400
GOOD_YEAR, BAD_YEAR = '{"trades": 60, "avg_r": 0.5}', '{"trades": 60, "avg_r": -0.5}'

TEXTS = [
    *("", " ", "'", '"', "\\", "\n", "\r\n", "\t", "NULL", "nan", "?", "$1", "%s {0} {observed!r}", "../../etc/passwd"),
    *("'; DROP TABLE canary; --", '"; DROP TABLE canary; --', "') OR 1=1 --", "x'); DELETE FROM canary; --"),
    *("<script>alert(1)</script>", "<b>&amp;", "a\nb\rc", "\0", "\0a\0", "\x01\x1b[31mred\x07", "\u202egnp\u2028.exe"),
    *("💥👩‍👩‍👧", "e\u0301", "ß" * 300, "x" * 100_000, "PASSED", "FAILED", "rejected", "win", "loss", "Win", "scratch"),
    *("0900", "1000", "0030", "1800", "2300", "0900 ", "0900_size", "0900; --", "0900_size, 1", "CME_OPEN", "cme_open"),
    *("MGC", "MES", "mgc", "MGC_A", "MGC_Z_W", "MGC_Z_S", "_W", "_S", "E1", "E2", "NO_FILTER", "no_filter", "ORB_G4 "),
    *("ORB_G4_L12", "ORB_G4_NOFRI_NOMON", "ORB_G4_L", f"ORB_G{DIGITS}", f"ORB_G4_L{DIGITS}", "ORB_G٤", "DIR_LONG"),
    *("M6E_G4", "VOL_RV12_N20", "rowid", "strategy_id", "dst_verdict", "LOW-N", "active", "retired", "ACTIVE"),
]
NUMBERS = [
    *(0, -0.0, 1, -1, 0.5, 2.5, 4, 5, 6.5, 15, 30, 100, 1e15, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, 2**63),
    *(5e-324, 1e-300, -1e-300, 1e300, 1.7e308, -1.7e308, float("nan"), float("inf"), float("-inf"), 2**127 - 1, 19.99),
]
DATES = [
    *("0001-01-01", "0001-12-31", "0044-03-15 (BC)", "1000-02-28", "1899-12-31", "1969-12-31", "1970-01-01"),
    *("2021-01-04", "2024-02-29", "2038-01-20", "2262-04-12", "9998-06-01", "9999-01-01", "9999-12-31", "10000-01-01"),
    *("290000-01-01", "5881580-07-10", "infinity", "-infinity"),
]
JSONS = [
    *("", " ", "null", "true", "17", "-0", "1e999", "NaN", "-Infinity", '"text"', "[]", "{}", "{", '{"2021', "[4]"),
    *("\ufeff{}", "{}{}", "{'2021': 1}", '"\\ud800"', "\0", DIGITS, "9" * 5000, "[" * DEEP, "[" * DEEP + "]" * DEEP),
    *('{"a": ' * DEEP + "1" + "}" * DEEP, f'{{"2021": {"[" * DEEP + "]" * DEEP}}}', f'{{"2021": {GOOD_YEAR}'),
    *(f'{{"{year}": {GOOD_YEAR}}}' for year in ("2021", "0", "-1", " 2021 ", "2_021", "٢٠٢١", "1e3", "\\ud800")),
    *(f'{{"2021": {GOOD_YEAR}, "{year}": {BAD_YEAR}}}' for year in ("2021", "2022", DIGITS, "9" * 5000, "-7", "\\n")),
    *(
        f'{{"2021": {GOOD_YEAR}, "2022": {year}}}'
        for year in ("null", "[]", "{}", "7", '"\\udfff"', '{"trades": null}', '{"avg_r": null}', '{"trades": "5"}')
    ),
    *(
        f'{{"2021": {GOOD_YEAR}, "2022": {{"trades": {value}, "avg_r": {other}}}}}'
        for value in ("true", "NaN", "1e999", "-1e999", DIGITS, "-1", "0.5", "[]", "{}", '"\\ud83d"')
        for other in ("0.1", "-0.1", "NaN", "1e999", DIGITS, "false", "[[]]")
    ),
    "{" + ", ".join(f'"{year}": {GOOD_YEAR}' for year in range(MANY)) + "}",
    f'{{"2021": {{"trades": 60, "avg_r": 0.5, "note": "{"x" * 3_000_000}"}}}}',
    *(f'{{"{name}": {value}}}' for name in ("min_size", "max_size") for value in ('"4"', "true", "NaN", DIGITS, "[4]")),
    *(
        f'{{"skip_days": {days}}}'
        for days in ("4", "{}", "[null]", '["4"]', "[NaN, 1e999, 0.5]", f"[{DIGITS}]", "[[]]", f"[{'0, ' * 500}4]")
    ),
    *('{"base": []}', '{"base": {"min_size": {}}}', '{"overlay": 4}', '{"overlay": {"skip_days": "\\ud800"}}'),
    '{"min_size": 9, "max_size": 3, "min_size": -1e999, "base": null, "overlay": null, "skip_days": null}',
]
TYPES = [
    *("VARCHAR", "TINYINT", "UTINYINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "FLOAT"),
    *("DOUBLE", "DECIMAL(4,1)", "DECIMAL(18,4)", "DECIMAL(38,10)", "BLOB", "BOOLEAN", "DATE", "TIME", "TIMESTAMP"),
    *("TIMESTAMPTZ", "TIMESTAMP_NS", "INTERVAL", "UUID", "BIT", "VARCHAR[]", "DOUBLE[3]", "STRUCT(a INTEGER)", "JSON"),
]
WIDER = ["BIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL(38,3)", "UHUGEINT", "UINTEGER"]
NAMES = [
    *("rowid", "row", "status", "note", "position", "day", "c0", "code", "year", "p", "v", "e", "o", "keys", "s"),
    *("strategy id", "'; DROP TABLE canary; --", '"', "%s", "💥", "orb_0900_size; --", "orb_1800_size", "instrument2"),
    *("fingerprint", "missing", "writes_split", "position_", "select", "x" * 300, "ORB_2300_SIZE", "weekday", "atr"),
]
TABLE_NAMES = [
    *("computed_verdicts", "ordered_verdicts", "computed_splits", "computed_promoted", "keys", "dask_validator_runs"),
    *("'; DROP TABLE canary; --", "temp", "main", "e", "excluded", "x" * 300),
]
TABLES = {**contract.TABLES, orb_outcomes.TABLE: orb_outcomes.COLUMNS}
COLUMNS = {table: {**kinds, **OPTIONAL.get(table, {})} for table, kinds in TABLES.items()}
COLUMNS["daily_features"] |= {
    f"orb_{label}_{part}": kind
    for label in ("0900", "1000")
    for part, kind in (("size", NUMBER), ("break_delay_min", NUMBER), ("break_bar_continues", ""), ("break_dir", TEXT))
}
STRATEGIES, SETUPS = "experimental_strategies", "validated_setups"


class Victim:
    """A database on its way to become hostile, and the statements that made it so."""

    def __init__(self, db: Any, random: Random) -> None:
        self.done: list[str] = []
        self.random = random
        self._db = db

    def __call__(self, sql: str, *parameters: object) -> None:
        """Run a statement."""
        self._db.execute(sql, list(parameters))
        self.done.append(" ".join([sql, *(f"[{value!r:.80}]" for value in parameters)]))

    def first_that_takes(self, sql: str, values: Iterable[object]) -> None:
        """Run a statement with one of the values; some columns cannot hold some."""
        for value in self.random.sample(list(values), k=5):
            try:
                return self(sql, value)
            except (duckdb.Error, OverflowError):
                continue

    def pick(self, choices: Iterable[str]) -> str:
        """One of these."""
        return self.random.choice(list(choices))

    def table(self) -> str:
        """One of the contract, rather strategies than others."""
        return self.pick([STRATEGIES, *TABLES])

    def column(self, *kinds: str) -> tuple[str, str]:
        """A table and a column of such a kind; any without one."""
        table = self.table()
        found = [name for name, kind in COLUMNS[table].items() if not kinds or kind in kinds]
        return (table, self.pick(found)) if found else self.column(*kinds)

    def some(self) -> str:
        """A condition for some rows, or all."""
        return f"hash(rowid, {self.random.randrange(1000)}) % {self.random.choice([1, 2, 5, 15, 15, 15])} = 0"

    def definitions(self, table: str) -> dict[str, str]:
        """The columns of a table, as they would be declared."""
        sql = (
            "SELECT column_name, data_type || CASE WHEN is_nullable THEN '' ELSE ' NOT NULL' END "
            "FROM duckdb_columns() WHERE table_name = ? AND database_name = current_database()"
        )
        return {f'"{name}"': kind for name, kind in self._db.execute(sql, [table]).fetchall()}

    def remake(self, table: str, *constraints: str, **definitions: str) -> None:
        """Make a table again with other constraints and definitions; its rows stay."""
        columns = self.definitions(table) | {f'"{name}"': kind for name, kind in definitions.items()}
        copied = ", ".join(name for name, kind in columns.items() if not kind.startswith("AS "))
        self(f"CREATE TABLE remade ({', '.join([*map(' '.join, columns.items()), *constraints])})")
        self(f"INSERT INTO remade ({copied}) SELECT {copied} FROM {table}")
        self(f"DROP TABLE {table}")
        self(f"ALTER TABLE remade RENAME TO {table}")


def _null(victim: Victim) -> None:
    table, column = victim.column()
    victim(f"UPDATE {table} SET {column} = NULL WHERE {victim.some()}")


def _number(victim: Victim) -> None:
    table, column = victim.column(NUMBER)
    victim.first_that_takes(f"UPDATE {table} SET {column} = ? WHERE {victim.some()}", NUMBERS)


def _r_multiples(victim: Victim) -> None:
    victim.first_that_takes(f"UPDATE orb_outcomes SET pnl_r = ? WHERE {victim.some()}", NUMBERS)


def _wide_number(victim: Victim) -> None:
    table, column = victim.column(NUMBER)
    victim(f"ALTER TABLE {table} ALTER {column} TYPE {victim.pick(WIDER)}")
    victim.first_that_takes(f"UPDATE {table} SET {column} = ? WHERE {victim.some()}", NUMBERS)


def _text(victim: Victim) -> None:
    table, column = victim.column(TEXT)
    victim(f"UPDATE {table} SET {column} = ? WHERE {victim.some()}", victim.pick(TEXTS))


def _name_of_a_strategy(victim: Victim) -> None:
    name = f"{victim.pick(['', 'MGC', 'M'])}{victim.pick(TEXTS)}{victim.pick(['', '', '_W', '_S'])}"
    victim(f"UPDATE {STRATEGIES} SET strategy_id = ? WHERE strategy_id = ?", name, victim.pick(["MGC_D", "MES_C"]))


def _date(victim: Victim) -> None:
    table = victim.pick(["orb_outcomes", "daily_features"])
    victim(f"UPDATE {table} SET trading_day = ?::DATE WHERE {victim.some()}", victim.pick(DATES))


def _one_date(victim: Victim) -> None:
    day = f"(SELECT {victim.pick(['min', 'max'])}(trading_day) FROM daily_features)"
    victim(f"UPDATE orb_outcomes SET trading_day = ?::DATE WHERE trading_day = {day}", victim.pick(DATES))
    if victim.random.random() < 0.5:
        victim(f"UPDATE daily_features SET trading_day = ?::DATE WHERE trading_day = {day}", victim.pick(DATES))


def _json(victim: Victim) -> None:
    column = victim.pick(["yearly_results", "filter_params"])
    victim(f"UPDATE {STRATEGIES} SET {column} = ? WHERE {victim.some()}", victim.pick(JSONS))


def _repeated_rows(victim: Victim) -> None:
    table = victim.table()
    victim(f"INSERT INTO {table} SELECT * FROM {table} WHERE {victim.some()}")


def _fewer_rows(victim: Victim) -> None:
    victim(f"DELETE FROM {victim.table()} WHERE {victim.some()}")


def _more_strategies(victim: Victim) -> None:
    copied = f"SELECT * REPLACE (strategy_id || ? AS strategy_id) FROM {STRATEGIES} WHERE {victim.some()}"
    victim(f"INSERT INTO {STRATEGIES} {copied}", victim.pick([*TEXTS, "_W", "_S"]) or "_")


def _type(victim: Victim) -> None:
    (table, column), kind = victim.column(), victim.pick(TYPES)
    victim(f"ALTER TABLE {table} ALTER {column} TYPE {kind} USING TRY_CAST({column} AS {kind})")


def _close_type(victim: Victim) -> None:
    (table, column), kind = victim.column(NUMBER), victim.pick(WIDER)
    victim(f"ALTER TABLE {table} ALTER {column} TYPE {kind} USING TRY_CAST({column} AS {kind})")


def _enum(victim: Victim) -> None:
    table, column = victim.column(TEXT)
    victim(f"CREATE TYPE kinds AS ENUM (SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL)")
    victim(f"ALTER TABLE {table} ALTER {column} TYPE kinds USING {column}::kinds")


def _missing_column(victim: Victim) -> None:
    table, column = victim.column()
    victim(f"ALTER TABLE {table} DROP {column}")


def _renamed_column(victim: Victim) -> None:
    table, column = victim.column()
    victim(f'ALTER TABLE {table} RENAME {column} TO "{victim.pick([column.upper(), f"{column} "])}"')


def _extra_column(victim: Victim) -> None:
    name, kind = victim.pick(NAMES).replace('"', '""'), victim.pick(TYPES)
    victim(f'ALTER TABLE {victim.table()} ADD COLUMN "{name}" {kind}{victim.pick(["", " DEFAULT NULL"])}')


def _column_named_rowid(victim: Victim) -> None:
    victim(f"ALTER TABLE {victim.table()} ADD COLUMN rowid {victim.pick(['BIGINT DEFAULT 1', 'VARCHAR', 'BIGINT'])}")


def _missing_table(victim: Victim) -> None:
    victim(f"DROP TABLE {victim.table()}")


def _renamed_table(victim: Victim) -> None:
    table = victim.table()
    victim(f'ALTER TABLE {table} RENAME TO "{victim.pick([table.upper(), table + "s"])}"')


def _view(victim: Victim) -> None:
    table = victim.table()
    victim(f"ALTER TABLE {table} RENAME TO real")
    victim(f"CREATE VIEW {table} AS SELECT * FROM real WHERE {victim.pick(['TRUE', 'TRUE', '1 / 0 > 0'])}")


def _extra_table(victim: Victim) -> None:
    name = victim.pick(TABLE_NAMES).replace('"', '""')
    victim(f'CREATE TABLE "{name}" AS SELECT strategy_id, validation_status AS status FROM {STRATEGIES}')


def _other_schema(victim: Victim) -> None:
    victim("CREATE SCHEMA other")
    table = victim.table()
    victim(f"CREATE TABLE other.{table} (strategy_id VARCHAR PRIMARY KEY, status VARCHAR NOT NULL)")


def _index(victim: Victim) -> None:
    table, column = victim.column()
    victim(f"CREATE {victim.pick(['', '', 'UNIQUE '])}INDEX found ON {table} ({column})")


def _index_on_what_is_written(victim: Victim) -> None:
    table, column = victim.pick(
        [f"{STRATEGIES} validation_status", f"{SETUPS} status", f"{SETUPS} instrument", f"{STRATEGIES} dst_verdict"]
    ).split()
    victim(f"CREATE INDEX found ON {table} ({column})")


def _not_null(victim: Victim) -> None:
    table, column = victim.column()
    victim(f"ALTER TABLE {table} ALTER {column} SET NOT NULL")


def _check(victim: Victim) -> None:
    table, check = victim.pick(
        [
            f"{STRATEGIES} (validation_status <> 'PASSED')",
            f"{STRATEGIES} (length(validation_notes) < 9)",
            f"{STRATEGIES} (dst_winter_n IS NULL)",
            f"{SETUPS} (status = 'active')",
            f"{SETUPS} (status <> 'active' OR retired_at IS NULL)",
            f"{SETUPS} (fdr_adjusted_p < 0.000001)",
            f"{SETUPS} (expectancy_r < 0.4)",
        ]
    ).split(" ", 1)
    victim.remake(table, "PRIMARY KEY (strategy_id)", f"CHECK {check}")


def _unique(victim: Victim) -> None:
    table = victim.pick([STRATEGIES, SETUPS])
    unique = victim.pick(["strategy_id, orb_label", "validation_notes", "family_hash", "promoted_at", "status"])
    victim.remake(table, victim.pick(["PRIMARY KEY (strategy_id)", "UNIQUE (strategy_id)"]), f"UNIQUE ({unique})")


def _no_key(victim: Victim) -> None:
    victim.remake(victim.table())


def _generated(victim: Victim) -> None:
    table, column = victim.column()
    of_kind = {NUMBER: "1", TEXT: "'x'", DATE: "DATE '2021-03-01'"}.get(COLUMNS[table][column], "NULL")
    key = ["PRIMARY KEY (strategy_id)"] if table in (STRATEGIES, SETUPS) else []
    victim.remake(table, *key, **{column: f"AS ({of_kind})"})


LOG_COLUMNS = {table: list(columns) for table, columns in trade_tables.TRADE_TABLES.items()}


def _log_value(victim: Victim) -> None:
    table = victim.pick(LOG_COLUMNS)
    kind = trade_tables.TRADE_TABLES[table][column := victim.pick(LOG_COLUMNS[table])]
    values = {"DOUBLE": NUMBERS, "VARCHAR": TEXTS}.get(kind, DATES)
    victim.first_that_takes(f"UPDATE {table} SET {column} = ?::{kind} WHERE {victim.some()}", [None, *values])


def _log_rows(victim: Victim) -> None:
    table = victim.pick(LOG_COLUMNS)
    copied = f"INSERT INTO {table} SELECT * FROM {table} WHERE {victim.some()}"
    victim(victim.pick([copied, f"DELETE FROM {table} WHERE {victim.some()}"]))


def _log_table(victim: Victim) -> None:
    table, kind = victim.pick(LOG_COLUMNS), victim.pick(TYPES)
    column = victim.pick(LOG_COLUMNS[table])
    changed = f"ALTER TABLE {table} ALTER {column} TYPE {kind} USING TRY_CAST({column} AS {kind})"
    victim(victim.pick([changed, f"ALTER TABLE {table} DROP {column}", f"DROP TABLE {table}"]))


def _model_of_a_log(victim: Victim) -> None:
    changed = f"UPDATE {STRATEGIES} SET entry_model = ? WHERE entry_model = ?"
    victim(changed, *victim.random.sample([trade_tables.TRADE_LOG, "E1", "trade_log"], k=2))


Mutation = Callable[[Victim], None]
MUTATIONS: Mapping[str, Mutation] = {
    function.__name__.strip("_").replace("_", " "): function
    for function in (
        *(_null, _number, _r_multiples, _wide_number, _text, _name_of_a_strategy, _date, _one_date, _json),
        *(_repeated_rows, _fewer_rows, _more_strategies, _type, _close_type, _enum, _missing_column, _renamed_column),
        *(_extra_column, _column_named_rowid, _missing_table, _renamed_table, _view, _extra_table, _other_schema),
        *(_index, _index_on_what_is_written, _not_null, _check, _unique, _no_key, _generated),
    )
}
OFTEN = ("null", "number", "r multiples", "text", "name of a strategy", "date", "one date", "json", "more strategies")
# Values are where strategies differ; what is wrong with a table mostly ends the run before it begins.
WEIGHTS = [8 if name in OFTEN else 1 for name in MUTATIONS]


OF_LOGS: Mapping[str, Mutation] = {
    "value of a log": _log_value,
    "rows of a log": _log_rows,
    "model of a log": _model_of_a_log,
    "table of logs": _log_table,
}
WEIGHTS_OF_LOGS = [8, 3, 1, 1]


def mutate(db: Any, random: Random, *, logs: bool = False) -> list[str]:
    """Change a database in one to four ways and say how; what it does not admit is left out.

    Parameters
    ----------
    logs
        Whether it has imported trades, which are changed too.
    """
    victim = Victim(db, random)
    mutations = {**MUTATIONS, **OF_LOGS}
    names = random.choices(list(MUTATIONS), WEIGHTS, k=random.randint(1, 4))
    if logs:
        names = names[1:] + random.choices(list(OF_LOGS), WEIGHTS_OF_LOGS, k=random.randint(1, 3))
    for name in names:
        victim.done.append(f"-- {name}")
        try:
            mutations[name](victim)
        except duckdb.Error as error:
            victim.done.append(f"-- not admitted: {str(error).splitlines()[0]:.80}")
    return victim.done
