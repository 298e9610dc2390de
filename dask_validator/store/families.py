"""The strategies whose p-values are corrected for each other, as the rules group them, read from the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np

from dask_validator.config import RunConfig
from dask_validator.config.toml_file import bounded_text
from dask_validator.errors import InputError
from dask_validator.rules.families import Family
from dask_validator.store.contract import Catalogue
from dask_validator.store.fetched import doubles

TABLE = "experimental_strategies"
BETWEEN = "|"  # the values of several columns


def read_family(
    connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, instrument: str, config: RunConfig
) -> Family:
    """Rows with a p-value of the instruments named, canonical ones; all but aliases where nothing is corrected.

    Raises
    ------
    InputError
        The table has no such column to group by.
    """
    if lacking := [name for name in config.fdr_group_by if name.lower() not in catalogue.tables[TABLE]]:
        raise InputError(f"--fdr-group-by got {', '.join(lacking)}, which {TABLE} has no column of; name one it has")
    member = "is_canonical IS NOT FALSE" if config.fdr_method == "raw" else "is_canonical"
    found = connection.execute(
        f"SELECT strategy_id, {_group(config.fdr_group_by)} AS family, p_value::DOUBLE AS p, "
        f"ifnull(expectancy_r::DOUBLE, 'NaN') AS r FROM {TABLE} WHERE instrument IN (SELECT unnest(?::VARCHAR[])) "
        f"AND {member} AND strategy_id IS NOT NULL AND NOT isnan(p_value::DOUBLE)",
        [[instrument, *config.fdr_instruments]],
    ).fetchnumpy()
    ids, groups = (np.asarray(found[name], dtype=object) for name in ("strategy_id", "family"))
    return Family(ids, groups, doubles(found["p"]), doubles(found["r"]))


def _group(columns: Sequence[str]) -> str:
    quoted = ['"' + name.replace('"', '""') + '"' for name in columns]
    texts = ", ".join(f"coalesce({name}::VARCHAR, '')" for name in quoted)
    return f"concat_ws('{BETWEEN}', {texts})" if quoted else "''"


def read_tests(path: str | Path | None) -> Mapping[str, int]:
    """By group, how many tests there were. Raises InputError for a file that does not say so."""
    if path is None:
        return {}
    try:
        found = json.loads(bounded_text(Path(path), "--fdr-k-file", "JSON"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"--fdr-k-file got {path}, which is not valid JSON: {error}") from None
    counts = list(found.values()) if isinstance(found, dict) else [None]
    if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 1 for count in counts):
        raise InputError(
            f'--fdr-k-file got {path}; needed an object of whole numbers by group, such as {{"0900": 4000}}'
        )
    return dict(found)
