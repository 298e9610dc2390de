"""The look at the user's script, before worker processes would run it."""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from dask_validator.errors import MainGuardMissing
from dask_validator.execution.dask.main_guard import require_main_guard

LONG = "\n".join(f"x{number} = {{'a': [1, (2, 3)]}}" for number in range(2000))


class Loud:
    """Parses something as it is collected, as whoever logs a traceback does."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        ast.parse("1 + 1")


@pytest.fixture
def often() -> Iterator[None]:
    """The garbage collector comes by all the time."""
    before = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("often")
def test_a_long_script_while_garbage_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is collected meanwhile may parse too: the look at the script does not break off."""
    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")
    Path(script.__file__).write_text(LONG)
    monkeypatch.setitem(sys.modules, "__main__", script)
    for _ in range(5):
        Loud()
    with pytest.raises(MainGuardMissing):
        require_main_guard()

    assert gc.isenabled()
