"""What survives a crash of a calibration: blocks of strategies that have been through all worlds."""

from __future__ import annotations

import base64
import os
import socket
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import InputError
from dask_validator.journal import checked
from dask_validator.journal.journal import default_path
from dask_validator.journal.lines import Foreign, InUse, Lines, peek, set_aside

Arrays = Mapping[str, NDArray[Any]]
LARGEST = 1 << 30  # bytes of an array
DIGITS = 12  # of the digest in a file's name
FASTEST = 1  # of zlib: most numbers are small or zero


def calibration_path(database: Path, instrument: str) -> Path:
    """What the files of an instrument begin with, beside the database."""
    return default_path(database, instrument).with_suffix(".luck")


def left_behind(path: Path) -> dict[Path, int]:
    """Journals of calibrations whose files begin so, with the strategies that went through all worlds in each."""
    found = {}
    for file in _files(path):
        with suppress(InputError):  # none of this user's
            ours, count = False, 0
            for record in peek(file):
                with suppress(*checked.UNSOUND, zlib.error):
                    match record:
                        case {"inputs": str()}:
                            ours = True
                        case {"block": {"positions": positions}}:
                            count += len(_array(positions, POSITIONS))
            if ours:
                found[file] = count
    return found


def discard_blocks(path: Path) -> None:
    """Take away journals whose files begin so, but for those that another process keeps; a link is renamed."""
    for file in _files(path):
        try:
            Lines(file, 0o600).remove()
        except Foreign:
            set_aside(file)
        except InputError:  # in use, or no journal
            continue


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{escape(path.name)}-{'[0-9a-f]' * DIGITS}.journal"))


class Shape(NamedTuple):
    """What arrays a block has; a length of None is the block's own."""

    dtype: str
    lengths: tuple[int | None, ...]


class Left(NamedTuple):
    """What an earlier calibration that was asked the same has left."""

    blocks: list[Arrays]
    opened: set[int]  # strategies whose worlds its own process had begun, and may have died of


class Blocks:
    """Files that begin with a path, each of one set of questions and kept by one process at a time.

    A path of None keeps nothing. What cannot be kept is no reason to end: `reason` says why.
    """

    def __init__(self, path: Path | None, database: Path) -> None:
        self.path = path
        self.reason: str | None = None  # why nothing more can be kept
        self._database = database
        self._files: list[Lines] = []
        self._worth_keeping: set[Path] = set()

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        for lines in self._files:
            lines.close() if lines.path in self._worth_keeping else lines.remove()

    @property
    def keeps(self) -> bool:
        """Whether there is something to go on with."""
        return bool(self._worth_keeping)

    def begin(self, inputs: str, shapes: Mapping[str, Shape]) -> Left:
        """What an earlier calibration has left that was asked the same.

        Parameters
        ----------
        inputs
            A digest of all that blocks depend on.

        Raises
        ------
        InputError
            Another process is at the same, or what lies there is no journal of this user's.
        """
        lines = self._opened(inputs)
        if lines is None:
            return Left([], set())
        self._files.append(lines)
        found, same = Left([], set()), False
        for record in lines:
            with suppress(*checked.UNSOUND, zlib.error):
                match record:
                    case {"inputs": theirs}:
                        same = theirs == inputs
                    case {"block": block} if same:
                        found.blocks.append(_decoded(block, shapes))
                    case {"opened": [*positions]} if same:
                        found.opened.update(map(checked.number, positions))
        if found.blocks or found.opened:
            self._worth_keeping.add(lines.path)
        self._add({"pid": os.getpid(), "host": socket.gethostname()})
        self._add({"inputs": inputs})
        return found

    def _opened(self, inputs: str) -> Lines | None:
        if self.path is None:
            return None
        path = self.path.with_name(f"{self.path.name}-{inputs[:DIGITS]}.journal")
        try:
            return Lines(path, self._database.stat().st_mode & 0o444 | 0o600)
        except InUse:
            raise InputError(f"{path} is in use: the same worlds are computed by another process now") from None
        except Foreign:
            raise
        except InputError as error:
            self.reason = str(error)
            return None

    def opens(self, positions: Sequence[int]) -> None:
        """This process itself is about to put these strategies into all worlds."""
        if self._add({"opened": list(positions)}, durable=False):
            self._worth_keeping.add(self._files[-1].path)

    def done(self, block: Arrays) -> None:
        """Keep a block of the questions that have begun last: it is on the disk afterwards."""
        if self._add({"block": {name: _encoded(array) for name, array in block.items()}}):
            self._worth_keeping.add(self._files[-1].path)

    def forget(self) -> None:
        """Everything was told, or is committed."""
        self._worth_keeping.clear()

    def _add(self, record: Any, *, durable: bool = True) -> bool:
        if not self._files or self.reason is not None:
            return False
        try:
            self._files[-1].append(record, durable=durable)
        except OSError as error:
            self.reason = f"the journal {self._files[-1].path} cannot be written ({error.strerror})"
            return False
        return True


NOTHING_KEPT = Blocks(None, Path())
POSITIONS = Shape("<i4", (None,))  # of the strategies of a block


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
