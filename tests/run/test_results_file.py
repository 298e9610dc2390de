"""The JSONL: the users' fields in the users' order, appended whole or not at all."""

from __future__ import annotations

import json
import os
import resource
import signal
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dask_validator import NotCommitted, RunConfig, validate
from dask_validator.run import results_file
from dask_validator.run.results_file import append
from tests.conftest import Command
from tests.support.tiny import Row, change, line_ids, rows_by_id, tiny_database

FIELDS = [
    "strategy_id", "instrument", "n_total_windows", "n_valid_windows", "n_positive_windows", "pct_positive",
    "agg_oos_exp_r", "total_oos_trades", "passed", "rejection_reason", "windows", "params", "window_imbalance_ratio",
    "window_imbalanced", "timestamp", "run_id",
]  # fmt: skip
WINDOW_FIELDS = ["window_start", "window_end", "test_n", "test_exp_r", "test_wr", "test_sharpe", "test_pass"]
PARAMS = {
    "test_window_months": 3,
    "min_train_months": 9,
    "min_trades_per_window": 10,
    "min_valid_windows": 2,
    "min_pct_positive": 0.5,
}
WF_FLAGS = ("--wf-test-months", 3, "--wf-min-train-months", 9, "--wf-min-trades", 10, "--wf-min-windows", 2,
            "--wf-min-pct-positive", 0.5)  # fmt: skip
LINES = ['{"strategy_id": "A"}', '{"strategy_id": "Ä"}']
OLD = b'{"strategy_id": "old"}\n'


def zipped(lines: list[str]) -> bytes:
    """Lines as a run keeps them."""
    return zlib.compress("".join(line + "\n" for line in lines).encode())


def test_the_lines(tmp_path: Path, command: Command) -> None:
    """Notebooks read these fields by name and the file by position: both stay as they are, in a folder made for it."""
    never = {"outcome IS NOT NULL AND rr_target = 2": {"outcome": None}}
    late = {"rr_target = 4 AND year(trading_day) < 2023": {"outcome": None}}
    strategies: list[Row] = [
        {"strategy_id": "MGC_10"},
        {"strategy_id": "MGC_9", "filter_type": "VOL_RV12_N20"},
        {"strategy_id": "MGC_2", "sample_size": 3},
        {"strategy_id": "MGC_1", "is_canonical": False},
        {"strategy_id": "MGC_11", "rr_target": 2.0},
        {"strategy_id": "MGC_12", "rr_target": 4.0},
    ]
    database = tiny_database(tmp_path / "tiny.duckdb", strategies, outcomes=never | late)
    jsonl = tmp_path / "new" / "folder" / "wf.jsonl"
    ran = command("run", "--db", database, "--workers", 1, "--wf-output", jsonl, *WF_FLAGS)

    assert ran.code == 0, ran.stderr
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert [line["strategy_id"] for line in lines] == ["MGC_10", "MGC_11", "MGC_12", "MGC_9"]
    for line in lines:
        assert list(line)[: len(FIELDS)] == FIELDS
        assert line["params"] == PARAMS
        assert list(line["params"]) == list(PARAMS)
        assert line["instrument"] == "MGC"
        assert all(list(window) == WINDOW_FIELDS for window in line["windows"])
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
        assert (line["rejection_reason"] is None) == line["passed"]
    good, nothing, one_window, _ = lines
    assert (good["passed"], good["n_total_windows"]) == (True, 9)
    assert [good["windows"][0][name] for name in ("window_start", "window_end")] == ["2021-10-01", "2022-01-01"]
    assert nothing["rejection_reason"] == "No outcomes found"
    assert (nothing["windows"], nothing["pct_positive"], nothing["agg_oos_exp_r"]) == ([], 0.0, 0.0)
    assert (one_window["n_total_windows"], one_window["window_imbalance_ratio"]) == (1, None)
    assert one_window["window_imbalanced"] is False


def test_appended(tmp_path: Path) -> None:
    """Each run adds its lines below those of the runs before."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"strategy_id": "MGC_B"}, {"strategy_id": "MGC_A"}])
    jsonl = tmp_path / "wf.jsonl"
    jsonl.write_bytes(OLD)
    for _ in range(2):
        validate(database, workers=1, progress=False, wf_output=jsonl)
        change(database, "UPDATE experimental_strategies SET validation_status = NULL")

    assert jsonl.read_bytes().startswith(OLD)
    assert line_ids(jsonl) == ["old", "MGC_A", "MGC_B", "MGC_A", "MGC_B"]


NO_LINES = {
    "no_walkforward": RunConfig(no_walkforward=True),
    "dry_run": RunConfig(dry_run=True),
    "all screened out": RunConfig(min_sample=9999),
}


@pytest.mark.parametrize("config", NO_LINES.values(), ids=NO_LINES)
def test_no_lines_no_file(tmp_path: Path, config: RunConfig) -> None:
    """A run that has no lines to write makes no file and no folder, nor touches a file that is there."""
    there, new = tmp_path / "there.jsonl", tmp_path / "new" / "wf.jsonl"
    there.write_bytes(OLD[:-1])
    for path in (there, new):
        database = tiny_database(tmp_path / f"{path.stem}.duckdb")
        result = validate(database, config=replace(config, wf_output=path), workers=1, progress=False)
        assert result.summary["rows"] == 1

    assert there.read_bytes() == OLD[:-1]
    assert not new.parent.exists()


@pytest.mark.parametrize("there", [None, b"", OLD, b'{"torn', OLD + b'{"torn'], ids=str)
def test_append(tmp_path: Path, there: bytes | None) -> None:
    """Whatever the file ends with, our lines are lines of their own, in UTF-8."""
    path = tmp_path / "new" / "wf.jsonl"
    if there is not None:
        path.parent.mkdir()
        path.write_bytes(there)
    append(path, zipped(LINES))

    ours = "".join(line + "\n" for line in LINES).encode()
    torn = b"\n" if there and not there.endswith(b"\n") else b""
    assert path.read_bytes() == (there or b"") + torn + ours


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that fills up in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("there", [b"", OLD, OLD + b'{"torn'], ids=["empty", "whole lines", "torn line"])
@pytest.mark.parametrize("room", [0, 1, 5000])
@pytest.mark.parametrize("size", [100, 100_000])
def test_a_full_disk_takes_everything_back(tmp_path: Path, there: bytes, room: int, size: int) -> None:
    """A disk that fills up in mid-write leaves the file as it was, with no half of our lines."""
    path = tmp_path / "wf.jsonl"
    path.write_bytes(there)
    lines = [json.dumps({"strategy_id": "x" * size})] * 60
    with file_size_limit(len(there) + room), pytest.raises(OSError, match="large"):
        append(path, zipped(lines))

    assert path.read_bytes() == there


def test_a_failing_sync_takes_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that the disk has not confirmed are not left behind, and the run says where they are kept."""

    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    database = tiny_database(tmp_path / "tiny.duckdb")
    jsonl = tmp_path / "wf.jsonl"
    jsonl.write_bytes(OLD)
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(NotCommitted, match=r"dask_validator_results") as caught:
        validate(database, workers=1, progress=False, wf_output=jsonl)

    assert jsonl.read_bytes() == OLD
    assert "No space left on device" in str(caught.value)
    assert caught.value.result is not None
    assert caught.value.result.summary["committed"] is True
    assert rows_by_id(database, "experimental_strategies", "validation_status") == {
        "MGC_GOOD": {"validation_status": "PASSED"}
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_full_device(tmp_path: Path) -> None:
    """Exit code 4 has a reason in words also when nothing can be taken back."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    with pytest.raises(NotCommitted, match="No space left on device"):
        validate(database, workers=1, progress=False, wf_output="/dev/full")


def test_ctrl_c_after_the_commit_waits_for_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted between commit and append, a run still appends: nothing would do it later."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    really_append = results_file.append

    def interrupted_append(path: Path, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        really_append(path, *arguments)

    monkeypatch.setattr(results_file, "append", interrupted_append)
    with pytest.raises(KeyboardInterrupt):
        validate(database, workers=1, progress=False, wf_output=tmp_path / "wf.jsonl")

    assert line_ids(tmp_path / "wf.jsonl") == ["MGC_GOOD"]
