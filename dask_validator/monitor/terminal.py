"""Progress and warnings on stderr: a bar on a terminal, single lines in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import click

from dask_validator.events import Committed, Computed, Event, Ready, Said, Screened, TaskDone


class Terminal:
    """A listener that shows a run; nothing but warnings when quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.committed = False
        self._quiet = quiet
        self._to_compute = 0
        self._bar: Any = None
        self._open = ExitStack()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()  # an error in mid-run must not continue the bar's line

    def say(self, text: str) -> None:
        """One line on stderr."""
        if not self._quiet:
            click.echo(text, err=True)

    def warn(self, warnings: Iterable[str]) -> None:
        """Warnings are shown even when quiet."""
        for warning in warnings:
            click.secho(f"warning: {warning}", err=True, fg="yellow")

    def listen(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Screened(waiting, to_compute):
                self.say(f"Screened {waiting:,} waiting strategies; {to_compute:,} go on")
                self._to_compute = to_compute
            case Said(text, warning):
                self.warn([text]) if warning else self.say(text)
            case Ready(workers, tasks, link, blind):
                self._show_dashboard(link)
                if event.page_link:
                    self.say(f"  this run: {event.page_link}")
                self.say(f"{tasks:,} tasks for {workers:,} worker(s)")
                if blind:
                    self.say(f"{len(blind)} worker(s) do not see the database: the outcomes travel with the tasks")
                self._start_bar()
            case TaskDone(strategies):
                if self._bar is not None:
                    self._bar.update(strategies)
            case Computed(wall_s):
                self._open.close()
                self._bar = None
                self.say(f"Computed in {wall_s:.2f} s")
            case Committed(strategies):
                self.committed = True
                self.say(f"Committed {strategies:,} verdicts")

    def _show_dashboard(self, link: str | None) -> None:
        if link is None:
            return
        port = link.rsplit(":", 1)[-1].split("/")[0]
        self.say(f"Dask dashboard: {link}")
        self.say(f"  from another machine: ssh -L {port}:127.0.0.1:{port} USER@THIS_HOST, then open the link there")

    def _start_bar(self) -> None:
        if not self._quiet:
            bar = click.progressbar(
                length=self._to_compute, label="Computing", show_pos=True, file=sys.stderr, show_eta=True
            )
            self._bar = self._open.enter_context(bar)
