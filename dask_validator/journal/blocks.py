"""What survives a crash of a calibration: blocks of strategies that have been through all worlds."""

from __future__ import annotations

import base64
import os
import socket
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.journal import checked
from dask_validator.journal.journal import default_path, open_lines
from dask_validator.journal.lines import Lines

Arrays = Mapping[str, NDArray[Any]]
LARGEST = 1 << 30  # bytes of an array
FASTEST = 1  # of zlib: most numbers are small or zero


def calibration_path(database: Path, instrument: str) -> Path:
    """Beside the database, one for each instrument."""
    return default_path(database, instrument).with_suffix(".luck.journal")


class Shape(NamedTuple):
    """What arrays a block has; a length of None is the block's own."""

    dtype: str
    lengths: tuple[int | None, ...]


class Blocks:
    """The file beside the database, kept by one process at a time; `path` None keeps nothing."""

    def __init__(self, path: Path | None, database: Path, instrument: str) -> None:
        """Lock it. Raises InputError where another process has it, or it is no journal of this user's."""
        self.path = path
        self.reason: str | None = None  # why nothing more can be kept
        self._lines: Lines | None = None if path is None else open_lines(path, database, instrument)
        self._worth_keeping = self._lines is not None and any(True for _ in self._lines)

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lines is not None:
            self._lines.close() if self._worth_keeping else self._lines.remove()

    @property
    def keeps(self) -> bool:
        """Whether there is something to go on with."""
        return self._lines is not None and self._worth_keeping

    def begin(self, inputs: str, shapes: Mapping[str, Shape]) -> list[Arrays]:
        """The blocks of an earlier calibration that was asked the same; others are forgotten.

        Parameters
        ----------
        inputs
            A digest of all that blocks depend on.
        """
        if self._lines is None:
            return []
        found, same = [], False
        for record in self._lines:
            with suppress(*checked.UNSOUND, zlib.error):
                match record:
                    case {"inputs": theirs}:
                        same = theirs == inputs
                    case {"block": block} if same:
                        found.append(_decoded(block, shapes))
        if not same:
            self._lines.clear()
        self._add({"pid": os.getpid(), "host": socket.gethostname()})
        if not same:
            self._add({"inputs": inputs})
        self._worth_keeping = bool(found)
        return found

    def done(self, block: Arrays) -> None:
        """Keep a block: it is on the disk afterwards."""
        self._worth_keeping |= self._add({"block": {name: _encoded(array) for name, array in block.items()}})

    def forget(self) -> None:
        """Everything was told, or is committed."""
        self._worth_keeping = False

    def _add(self, record: Any) -> bool:
        if self._lines is None or self.reason is not None:
            return False
        try:
            self._lines.append(record)
        except OSError as error:
            self.reason = f"the journal {self.path} cannot be written ({error.strerror})"
            return False
        return True


def _encoded(array: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(array.tobytes(), FASTEST)).decode()


def _decoded(block: Mapping[str, str], shapes: Mapping[str, Shape]) -> Arrays:
    """Raises one of `checked.UNSOUND`, or zlib.error, for what is no block."""
    return {name: _array(block[name], shape) for name, shape in shapes.items()}


def _array(text: str, shape: Shape) -> NDArray[Any]:
    opened = zlib.decompressobj()
    found = np.frombuffer(opened.decompress(base64.b64decode(text), LARGEST), dtype=shape.dtype)
    if not opened.eof:
        raise ValueError("cut short, or too large")
    return found.reshape([-1 if length is None else length for length in shape.lengths])
