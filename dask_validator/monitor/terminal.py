"""Progress and warnings on stderr: a bar on a terminal, one line a minute in a log file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import click

from dask_validator.events import Committed, Computed, Event, Opened, Ready, Said, Screened, TakenOver, TaskDone
from dask_validator.monitor.streams import forgiving, occupy_descriptors
from dask_validator.monitor.tunnel import tunnel
from dask_validator.pace import progress
from dask_validator.plain import plain

CLEAR_LINE = "\r\x1b[K"
EVERY_S = 60.0  # between two lines of progress in a log file


class Terminal:
    """A listener that shows a run; nothing but warnings when quiet."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.committed = False
        self._quiet = quiet
        self._clock = clock
        self._to_compute = 0
        self._done = 0
        self._computing_since = 0.0
        self._next_line = 0.0
        self._bar: Any = None
        self._open = ExitStack()

    def __enter__(self) -> Terminal:
        occupy_descriptors()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()  # an error in mid-run must not continue the bar's line

    def say(self, text: str) -> None:
        """Lines on stderr."""
        if not self._quiet:
            self._show(text)

    def warn(self, warnings: Iterable[str]) -> None:
        """Warnings are shown even when quiet."""
        for warning in warnings:
            self._show(f"warning: {warning}", fg="yellow")

    def end_progress(self) -> None:
        """No bar any more."""
        self._open.close()
        self._bar = None

    def _show(self, text: str, **style: Any) -> None:
        """Above the bar, if there is one."""
        if self._bar is not None:
            forgiving(sys.stderr).write(CLEAR_LINE)
        echo(text, **style)
        if self._bar is not None:
            self._bar.render_progress()

    def listen(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Screened(waiting=waiting, to_compute=to_compute):
                self.say(f"Screened {waiting:,} waiting strategies; {to_compute:,} go on")
                self._to_compute = to_compute
            case TakenOver(answers):
                self._to_compute -= len(answers)
            case Said(text, warning):
                self.warn([text]) if warning else self.say(text)
            case Opened(link, page):
                self._show_dashboard(link, page)
            case Ready(workers, tasks, blind):
                self.say(f"{tasks:,} tasks for {workers:,} worker(s)")
                if blind:
                    self.say(f"{len(blind)} worker(s) do not see the database: the outcomes travel with the tasks")
                self._start_progress()
            case TaskDone(strategies=strategies):
                self._advance(strategies)
            case Computed(wall_s):
                self.end_progress()
                self.say(f"Computed in {wall_s:.2f} s")
            case Committed(strategies):
                self.committed = True
                self.say(f"Committed {strategies:,} verdicts")

    def _show_dashboard(self, link: str, page: str | None) -> None:
        self.say(f"Dask dashboard: {link}")
        if page is not None:
            self.say(f"  this run: {page}")
        if (forward := tunnel(link)) is not None:
            self.say(f"  from another machine: {forward}, then open the link there")

    def _start_progress(self) -> None:
        self._done, self._computing_since = 0, self._clock()
        self._next_line = self._computing_since + EVERY_S
        stream: Any = forgiving(sys.stderr)
        if not self._quiet and stream.is_terminal:
            bar: Any = click.progressbar(
                length=self._to_compute,
                label="Computing",
                file=stream,
                show_pos=True,
                show_eta=True,
                item_show_func=lambda _: (
                    f"{self._done / max(self._clock() - self._computing_since, 1e-9):,.0f} a second"
                ),
            )
            self._bar = self._open.enter_context(bar)

    def _advance(self, strategies: int) -> None:
        self._done += strategies
        if self._bar is not None:
            self._bar.update(strategies)
        elif (now := self._clock()) >= self._next_line:
            self._next_line = now + EVERY_S
            self.say(f"Computing: {progress(self._done, self._to_compute, now - self._computing_since)}")


def echo(text: str, *, err: bool = True, **style: Any) -> None:
    """One or more lines; control characters are spelled out, colours are for terminals whose user wants them."""
    stream = forgiving(sys.stderr if err else sys.stdout)
    text = plain(text, keep="\n")
    if style and stream.is_terminal and not os.environ.get("NO_COLOR"):
        text = click.style(text, **style)
    stream.write(f"{text}\n")
    stream.flush()
