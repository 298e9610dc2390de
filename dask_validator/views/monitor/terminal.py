"""Progress and warnings on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import click

from dask_validator.events import (
    Asking,
    Committed,
    Committing,
    Computed,
    Ended,
    Event,
    Opened,
    Progressed,
    Ready,
    Said,
    Screened,
    Started,
    TakenOver,
    TaskDone,
)
from dask_validator.views.monitor.folding import folded
from dask_validator.views.monitor.foot import Foot
from dask_validator.views.monitor.streams import forgiving, occupy_descriptors
from dask_validator.views.monitor.tunnel import tunnel
from dask_validator.wording import sentences
from dask_validator.wording.harmless import plain


class Terminal:
    """A listener that shows a run; nothing but warnings when quiet."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.committed = False
        self._quiet = quiet
        self._to_compute, self._label = 0, "Computing"
        self._foot = Foot(lambda: forgiving(sys.stderr), echo, clock)

    def __enter__(self) -> Terminal:
        occupy_descriptors()
        return self

    def __exit__(self, *_: object) -> None:
        self._foot.close()  # an error in mid-run must not continue the bar's line

    def say(self, text: str) -> None:
        """Lines on stderr."""
        if not self._quiet:
            self._foot.above(partial(echo, text))

    def warn(self, warnings: Iterable[str]) -> None:
        """Warnings are shown even when quiet."""
        for warning in warnings:
            self._foot.above(partial(echo, f"warning: {warning}", fg="yellow"))

    def begin(self, label: str, total: int = 0, *, announced: bool = False) -> None:
        """Show that something goes on, until the next begins or `end_progress`."""
        if not self._quiet:
            self._foot.begin(label, total, announced=announced)

    def end_progress(self) -> None:
        """No bar any more."""
        self._foot.end()

    def listen(self, event: Event) -> None:
        """Show one event."""
        self._tell(event)
        self._go_on(event)

    def _tell(self, event: Event) -> None:
        match event:
            case Screened(waiting, to_compute, _, only_seasons) if waiting:
                self.say(sentences.screened(waiting, to_compute, only_seasons))
            case Asking(what, strategies):
                self.say(f"{what}: {sentences.of_them(strategies, 'strategy', 'strategies')}")
            case Said(text, warning):
                self.warn([text]) if warning else self.say(text)
            case Opened(link, page):
                self._show_dashboard(link, page)
            case Ready(workers, tasks, blind):
                self.say(f"{sentences.of_them(tasks, 'task', 'tasks')} for {workers:,} worker(s)")
                if blind:
                    self.say(f"{len(blind)} worker(s) do not see the database: the outcomes travel with the tasks")
            case Computed(wall_s):
                self.end_progress()
                self.say(f"Computed in {wall_s:.2f} s")
            case Committed(strategies):
                self.committed = True
                self.say(f"Committed {strategies:,} verdicts")

    def _go_on(self, event: Event) -> None:
        match event:
            case Started():
                self.begin("Reading")
            case Progressed(label, done, total):
                if not self._quiet:
                    self._foot.reached(label, done, total)
            case Screened(to_compute=to_compute):
                self._to_compute = to_compute
                self.begin("Preparing tasks")
            case TakenOver(answers):
                self._to_compute -= len(answers)
            case Asking(what, strategies):
                self._label, self._to_compute = what, strategies
            case Ready():
                self.begin(self._label, self._to_compute, announced=True)
            case TaskDone(strategies=strategies):
                self._foot.advance(strategies)
            case Computed():
                self.begin("Deciding")
            case Committing():
                self.begin("Committing")
            case Committed():
                self.begin("Finishing")
            case Ended():
                self.end_progress()

    def _show_dashboard(self, link: str, page: str | None) -> None:
        self.say(f"Dask dashboard: {link}")
        if page is not None:
            self.say(f"  this run: {page}")
        if (forward := tunnel(link)) is not None:
            self.say(f"  from another machine open the link after\n    {forward}")


def echo(text: str, *, err: bool = True, **style: Any) -> None:
    """One or more lines; control characters are spelled out, colours are for terminals whose user wants them."""
    stream = forgiving(sys.stderr if err else sys.stdout)
    text = plain(text, keep="\n")
    if (columns := stream.columns) is not None:
        text = folded(text, columns)
    if style and stream.is_terminal and not os.environ.get("NO_COLOR"):
        text = click.style(text, **style)
    stream.write(f"{text}\n")
    stream.flush()
