"""What goes on now: on a terminal the last line, drawn anew in place; in a log file a line every minute."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from dask_validator.views.monitor.streams import Forgiving
from dask_validator.wording.durations import duration, progress, wordings

CLEAR_LINE = "\r\x1b[K"
TICK_S = 1.0  # between two looks at the clock, while nothing else is heard
FIRST_S = 5.0  # of a silence in a log file
EVERY_S = 60.0  # between two lines of progress in a log file
BAR = range(10, 37)  # cells


class Stage(NamedTuple):
    """One part of a run, and how far it is."""

    label: str
    total: int  # strategies; 0: they are not counted
    since: float  # seconds of the clock
    done: int = 0

    def line(self, now: float) -> str:
        """For a log file."""
        if not self.total:
            return f"{self.label}: {duration(now - self.since)} so far"
        return f"{self.label}: {progress(self.done, self.total, now - self.since)}"

    def drawn(self, now: float, columns: int) -> str:
        """For the last line of a terminal: as much as it holds."""
        room = columns - 1  # a letter in the last column may begin a new line
        if not self.total:
            return f"{self.label} ... {duration(now - self.since)}"[:room]
        texts = wordings(self.done, self.total, now - self.since)
        around = len(f"{self.label}  []  ")
        text = next((text for text in texts if around + BAR.start + len(text) <= room), None)
        if text is None:
            return f"{self.label} {texts[-1]}"[:room]
        cells = min(room - around - len(text), BAR.stop - 1)
        filled = cells * min(self.done, self.total) // self.total
        return f"{self.label}  [{'#' * filled:-<{cells}}]  {text}"


class Foot:
    """Shows the stage of a run; whatever else is written goes above it. Threads may share it."""

    def __init__(self, stream: Callable[[], Forgiving], say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._stream = stream
        self._say = say
        self._clock = clock
        self._stage: Stage | None = None
        self._drawn = False
        self._next_line = 0.0
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._ticker: threading.Thread | None = None

    def begin(self, label: str, total: int = 0, *, announced: bool = False) -> None:
        """Another stage; one that was announced needs no line of its own for a while."""
        with self._lock:
            now = self._clock()
            self._stage = Stage(label, total, now)
            self._next_line = now + (EVERY_S if announced else FIRST_S)
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
                self._ticker.start()
            if total:  # whose end can be seen; others are often over at once
                self._draw()

    def reached(self, label: str, done: int, total: int) -> None:
        """So much of a stage is done, which begins when it was not under way."""
        with self._lock:
            if self._stage is None or self._stage.label != label:
                self.begin(label, total)
            self._move(done)

    def advance(self, strategies: int) -> None:
        """So many more are done."""
        with self._lock:
            if self._stage is not None:
                self._move(self._stage.done + strategies)

    def end(self) -> None:
        """Nothing goes on."""
        with self._lock:
            self._erase()
            self._stage = None

    def close(self) -> None:
        """For good."""
        self.end()
        self._closed.set()

    def above(self, write: Callable[[], None]) -> None:
        """Write something that stays."""
        with self._lock:
            drawn = self._drawn
            self._erase()
            write()
            if drawn:
                self._draw()

    def _move(self, done: int) -> None:
        if self._stage is not None:
            self._stage = self._stage._replace(done=done)
            self._show()

    def _tick(self) -> None:
        while not self._closed.wait(TICK_S):
            with self._lock:
                self._show()

    def _show(self) -> None:
        if self._stage is None:
            return
        if self._stream().is_terminal:
            self._draw()
        elif (now := self._clock()) >= self._next_line:
            self._next_line = now + EVERY_S
            self._say(self._stage.line(now))

    def _draw(self) -> None:
        stream = self._stream()
        if self._stage is not None and stream.is_terminal:
            stream.write(f"\r{self._stage.drawn(self._clock(), stream.columns or 0)}\x1b[K")
            stream.flush()
            self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            stream = self._stream()
            stream.write(CLEAR_LINE)
            stream.flush()
            self._drawn = False
