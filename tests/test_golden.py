"""The serial reference's recorded answers, equal to the last digit, whatever runs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import duckdb
import pytest
from distributed import Client

from dask_validator import RunConfig, validate
from tests.conftest import Command
from tests.recorded import (
    SHARED,
    SMALL,
    RecordedRun,
    build_database,
    compare_lines,
    compare_setups,
    compare_strategies,
    except_ids,
    recorded_runs,
)

FULL, REAL = SHARED / "golden" / "full", SHARED / "real" / "xauusd"
RUNS = {run.name: run for run in recorded_runs(SMALL)}
LOOSE = ["--no-regime-waivers", "--min-years-positive-pct", "0.5"]
CONFIGS = {
    "default": RunConfig(),
    "v_exclude2020": RunConfig(exclude_years=(2020,)),
    "v_no_regime_waivers": RunConfig(no_regime_waivers=True),
    "v_no_walkforward": RunConfig(no_walkforward=True),
    "v_pct80_nowaivers": RunConfig(min_years_positive_pct=0.8, no_regime_waivers=True),
    "v_quality": RunConfig(min_sample=100, min_sharpe=0.1, max_drawdown=20),
    "v_wf_strict": RunConfig(wf_test_months=3, wf_min_trades=10, wf_min_windows=4, wf_min_pct_positive=0.75),
}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two worker processes, made once."""
    with Client(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as client:
        yield client


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Builds the database of a recorded input once; to be copied, not written."""

    @cache
    def build(folder: Path) -> Path:
        if not folder.exists():
            pytest.skip(f"the recorded inputs {folder.name} are not beside the repository")
        path = tmp_path_factory.mktemp(folder.name) / "source.duckdb"
        build_database(folder / "input", path)
        return path

    return build


def differences(database: Path, lines: Path, expected: Path, excepted: set[str]) -> list[str]:
    """All that differs between a finished run and a recorded one."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = compare_strategies(connection, expected, excepted) + compare_setups(connection, expected, excepted)
    for recorded_lines in expected.glob("wf.jsonl*"):
        ours = [json.loads(line) for line in lines.read_text().splitlines()]
        found += compare_lines(ours, recorded_lines, excepted)
    return found


@pytest.mark.parametrize("run", [run for run in RUNS.values() if run.name != "v_dry_run"], ids=lambda run: run.name)
def test_serial_command_gives_the_recorded_answers(run: RecordedRun, small: Path, command: Command) -> None:
    """`--workers 1` writes what the reference wrote, with each recorded set of flags."""
    ran = command("run", "--db", small, "--workers", 1, "--wf-output", "wf.jsonl", "--json", *run.flags)

    assert ran.code == 0, ran.stderr
    assert not differences(small, small.parent / "wf.jsonl", run.folder, except_ids(SMALL))
    closed = run.counts["passed"] - ran.summary["passed"]  # NaN rows that the reference let pass
    assert closed == (2 if run.name == "v_no_walkforward" else 1)
    assert ran.summary["rejected"] == run.counts["rejected"] + closed


@pytest.mark.parametrize("name", CONFIGS)
def test_two_workers_give_the_recorded_answers(name: str, small: Path, client: Client) -> None:
    """Two worker processes write what the reference wrote, with each recorded set of settings."""
    lines = small.parent / "wf.jsonl"

    validate(small, "MGC", CONFIGS[name], client=client, wf_output=lines, progress=False)

    assert not differences(small, lines, RUNS[name].folder, except_ids(SMALL))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("folder", "expected", "flags"),
    [
        pytest.param(FULL, "expected", [], id="full"),
        pytest.param(REAL, "expected_default", [], id="real-default"),
        pytest.param(REAL, "expected_loose", LOOSE, id="real-loose"),
    ],
)
def test_large_and_real_inputs(
    folder: Path,
    expected: str,
    flags: list[str],
    workers: int,
    tmp_path: Path,
    built: Callable[[Path], Path],
    command: Command,
) -> None:
    """12,996 recorded strategies, and 9,750 on ten years of real gold prices, equal the reference."""
    database = Path(shutil.copy(built(folder), tmp_path / "large.duckdb"))
    instrument = ["--instrument", "XAUUSD", "--instruments", folder / "instruments.toml"] if folder == REAL else []

    ran = command(
        "run", "--db", database, "--workers", workers, "--wf-output", "wf.jsonl", "--json", *instrument, *flags
    )

    assert ran.code == 0, ran.stderr
    assert not differences(database, tmp_path / "wf.jsonl", folder / expected, except_ids(folder))
