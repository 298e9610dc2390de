"""A pseudo-terminal of a given width, and all that a command sends to it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import NamedTuple

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shown(NamedTuple):
    """A finished command, and what it has sent to its terminal, escape sequences included."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """Every line in every state that it had, without escape sequences."""
        return re.split(r"[\r\n]+", ESCAPES.sub("", self.text))


def on_terminal(*words: object, columns: int = 80, cwd: Path | None = None, **env: str) -> Shown:
    """Python with these arguments, stdout and stderr on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    usual = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**usual, "TERM": "xterm", **env},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)
    return Shown(process.wait(), shown.decode())
