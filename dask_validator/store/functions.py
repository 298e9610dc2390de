"""The functions that our SQL calls: a macro of the database that is named like one would stand in for it, unseen.

To qualify each call (`system.main.year`) would not do: operators and `count(*)` are functions too, and so is what
DuckDB's own views and macros call for us.
"""

from __future__ import annotations

import duckdb

from dask_validator.errors import InputError

USED = frozenset(
    {
        *("-", "+", "||", "concat_ws", "count", "count_star", "current_database", "hash", "isfinite", "isnan"),
        *(
            "first",
            "jaro_winkler_similarity",
            "json_extract_string",
            "list_position",
            "nullif",
            "lower",
            "max",
            "min",
            "now",
            "pandas_scan",
            "row",
            "row_number",
        ),
        *("string_agg", "sum", "unnest", "year"),
    }
)
CATALOGUE = (
    "duckdb_",
    "pragma_",
)  # how the functions begin by which we, and views of DuckDB's own, look into a database


def refuse_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise InputError when a macro of the database would replace a function of ours."""
    found = connection.execute(
        "SELECT DISTINCT function_name FROM system.main.duckdb_functions() WHERE schema_name = 'main' AND NOT internal"
    ).fetchall()
    if standing_in := sorted({name for (name,) in found if _is_used(name.lower())}):
        raise InputError(
            f"the database has macros named like functions that we call: {', '.join(standing_in)}; "
            "give them other names, or move them to a schema of their own"
        )


def _is_used(name: str) -> bool:
    return name in USED or name.startswith(CATALOGUE)
