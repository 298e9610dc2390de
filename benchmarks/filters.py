"""How long the days of 99 filters take, in 13 sessions and three ranges: `python benchmarks/filters.py`.

The features are random, the filters those of `tests/golden/filters`; CPU seconds of one core, reading included.
"""

from __future__ import annotations

import time
from pathlib import Path

import duckdb

from dask_validator.config import RunConfig
from dask_validator.filters.shipped import shipped
from dask_validator.rules.costs import KNOWN_COSTS
from dask_validator.store.contract import Catalogue, Column
from dask_validator.store.filter_days import Reading, read_session_days, vocabulary_of

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "filters" / "eligible.parquet"
DAYS, MINUTES, TIMES = 2_600, (5, 15, 30), 5
OF_DAY = (
    *("atr_20", "atr_20_pct", "atr_vel_ratio", "overnight_range", "overnight_range_pct", "prev_day_range"),
    *("gap_open_points", "pit_range_atr", "garch_forecast_vol_pct", "prev_day_high", "prev_day_low", "prev_day_close"),
)
OF_SESSION = ("size", "high", "low", "volume", "vwap", "break_delay_min")


def features(connection: duckdb.DuckDBPyConnection, labels: list[str]) -> None:
    """A table of random numbers with the columns that the filters read."""
    numbers = [*OF_DAY, *(f"orb_{label}_{part}" for label in labels for part in OF_SESSION)]
    numbers += [f"rel_vol_{label}" for label in labels]
    columns = [f'100 * random() AS "{name}"' for name in numbers]
    columns += [
        f"""['long', 'short', NULL][1 + (3 * random())::INT % 3] AS "orb_{label}_break_dir\"""" for label in labels
    ]
    columns += [f'random() < 0.5 AS "orb_{label}_break_bar_continues"' for label in labels]
    connection.execute(
        "CREATE TABLE daily_features AS SELECT symbol, orb_minutes, DATE '2016-01-01' + day::INT AS trading_day, "
        f"day % 5 AS day_of_week, {', '.join(columns)} FROM range({DAYS}) t(day), "
        f"(SELECT unnest({list(MINUTES)}) AS orb_minutes), (SELECT unnest(['MGC', 'MES']) AS symbol)"
    )


def main() -> None:
    """Print the best of some tries."""
    labels = shipped("look_ahead")["sessions"]["order"]
    with duckdb.connect(config={"threads": 1}) as connection:
        features(connection, labels)
        rows = connection.execute("SELECT column_name, column_type FROM (DESCRIBE daily_features)").fetchall()
        columns = {name.lower(): Column(name.lower(), kind, False, False, None) for name, kind in rows}
        catalogue = Catalogue({"daily_features": columns}, sessions=frozenset(labels))
        reading = Reading(vocabulary_of(RunConfig(filters="params"), catalogue), catalogue, KNOWN_COSTS["MGC"], {})
        pairs = connection.execute(f"SELECT DISTINCT filter_type, filter_params FROM '{GOLDEN}'").fetchall()
        filters = {reading.vocabulary.chosen(*pair).filter for pair in pairs}
        wanted = {(minutes, label): filters for minutes in MINUTES for label in labels}
        seconds = []
        for _ in range(TIMES):
            begun = time.process_time()
            read_session_days(connection, "MGC", wanted, reading)
            seconds.append(time.process_time() - begun)
    print(f"{len(filters)} filters, {len(labels)} sessions, {len(MINUTES)} ranges, {DAYS:,} days: {min(seconds):.2f} s")


if __name__ == "__main__":
    main()
