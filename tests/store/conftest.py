"""What the tests of commits and of what takes them back share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commits import mixed_database


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A strategy of every kind, all but the good one with an active setup, the bad one's referenced."""
    return mixed_database(tmp_path)
