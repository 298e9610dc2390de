"""Ctrl-C while the database is scanned."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Timer
from typing import Any

import duckdb
import pytest

from dask_validator import validate
from dask_validator.store import database as store
from tests.support.tiny import tiny_database

BOUND_S = 60
ENDLESS = """
ALTER TABLE orb_outcomes RENAME TO some_outcomes;
CREATE VIEW orb_outcomes AS SELECT some_outcomes.* FROM some_outcomes, range(1_000_000_000_000);
"""


@pytest.mark.usefixtures("bounded")
def test_ctrl_c_in_a_scan_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes that are a view without end: Ctrl-C while they are scanned ends the run at once."""
    path = tiny_database(tmp_path / "tiny.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(ENDLESS)
    before, scan = path.read_bytes(), store.survey

    def interrupted(*args: Any, **more: Any) -> object:
        Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        return scan(*args, **more)

    monkeypatch.setattr(store, "survey", interrupted)
    with pytest.raises(KeyboardInterrupt):
        validate(path, workers=1, progress=False)
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["tiny.duckdb"]
