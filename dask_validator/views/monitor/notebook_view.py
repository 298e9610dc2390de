"""What a notebook shows of a run: a value that events change, and the two texts made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from dask_validator.events import Asking, Committed, Computed, Event, Opened, Ready, Said, Screened, TakenOver, TaskDone
from dask_validator.views.monitor.tunnel import tunnel
from dask_validator.views.palette import LIGHT
from dask_validator.wording import sentences
from dask_validator.wording.durations import progress
from dask_validator.wording.harmless import escaped, plain

BAR_CELLS = 30


class View(NamedTuple):
    """A run so far; times are seconds of one clock."""

    title: str
    state: str = "screening"
    to_compute: int = 0  # strategies
    computed: int = 0
    computing_since: float | None = None  # None: not, or no longer
    dashboard: str | None = None
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def after(self, event: Event, now: float) -> View:
        """The view once the event is known; unknown events change nothing."""
        match event:
            case Screened(waiting, to_compute, _, only_seasons):
                said = sentences.screened(waiting, to_compute, only_seasons)
                return self.saying(said)._replace(to_compute=to_compute, computed=0, computing_since=None)
            case Asking(what=what, strategies=strategies):
                return self.saying(what)._replace(to_compute=strategies, computed=0, computing_since=None)
            case Said(text=text, warning=True):
                return self.warning([text])
            case Said(text=text):
                return self.saying(text)
            case Opened(dashboard_link=link, page_link=page):
                return self._replace(dashboard=page or link)
            case Ready(workers=workers, tasks=tasks, blind=blind):
                view = self.saying(f"{sentences.of_them(tasks, 'task', 'tasks')} for {workers:,} worker(s)")
                if blind:
                    view = view.saying(
                        f"{len(blind)} worker(s) do not see the database: the outcomes travel with the tasks"
                    )
                return view._replace(state="computing", computing_since=now)
            case TakenOver(answers=answers):
                return self._replace(to_compute=self.to_compute - len(answers))
            case TaskDone(strategies=strategies):
                return self._replace(computed=self.computed + strategies)
            case Computed(wall_s=wall_s):
                view = self.saying(f"Computed {self.computed:,} strategies in {wall_s:.2f} s")
                return view._replace(state="deciding", computing_since=None)
            case Committed(strategies=strategies):
                return self.saying(f"Committed {strategies:,} verdicts")._replace(state="committed")
        return self

    def saying(self, text: str) -> View:
        """With one line more."""
        return self._replace(lines=(*self.lines, text))

    def warning(self, texts: Iterable[str]) -> View:
        """With more warnings."""
        return self._replace(warnings=(*self.warnings, *texts))

    def ended(self, state: str) -> View:
        """The last state of a run."""
        return self._replace(state=state, computing_since=None)

    def only_warnings(self) -> View:
        """For who wants to see nothing else."""
        return self._replace(dashboard=None, lines=(), computing_since=None)


def as_text(view: View, now: float) -> str:
    """Plain lines: what a saved notebook is read by where HTML is not."""
    lines = [f"{view.title}: {view.state}"]
    if view.dashboard:
        lines.append(f"Dask dashboard: {view.dashboard}")
    lines += view.lines
    if view.computing_since is not None:
        filled = BAR_CELLS * view.computed // max(1, view.to_compute)
        lines.append(f"[{'#' * filled:<{BAR_CELLS}}] {_progress(view, now)}")
    return "\n".join(map(plain, [*lines, *(f"warning: {text}" for text in _counted(view.warnings))]))


def as_html(view: View, now: float) -> str:
    """The same for a browser; colours are the page's own, so that it reads in the dark as in the light."""
    parts = [f"<div><strong>{escaped(view.title)}</strong>: {escaped(view.state)}</div>"]
    if view.dashboard:
        parts.append(f"<div>Dask dashboard: {_link(view.dashboard)}</div>")
    parts += [f"<div>{escaped(line)}</div>" for line in view.lines]
    if view.computing_since is not None:
        bar = f'<progress max="{max(1, view.to_compute)}" value="{view.computed}" style="width: 20em"></progress>'
        parts.append(f"<div>{bar} {escaped(_progress(view, now))}</div>")
    if view.warnings:
        items = "".join(f"<li>{escaped(text)}</li>" for text in _counted(view.warnings))
        heading = f"{len(view.warnings):,} warning{'s' if len(view.warnings) > 1 else ''}"
        parts.append(f'<details open="open"><summary>{heading}</summary><ul style="margin: 0">{items}</ul></details>')
    return f'<div style="border-left: 3px solid {LIGHT.passed}; padding-left: 0.8em">{"".join(parts)}</div>'


def _progress(view: View, now: float) -> str:
    since = now if view.computing_since is None else view.computing_since
    return progress(view.computed, view.to_compute, now - since)


def _counted(warnings: Iterable[str]) -> list[str]:
    """Each sentence once, with how often it came."""
    return [text if times == 1 else f"{text} ({times:,} times)" for text, times in Counter(warnings).items()]


def _link(address: str) -> str:
    """To be clicked, and how to reach it from elsewhere; only what a browser opens as a page becomes a link."""
    url = urlsplit(address)
    if url.scheme not in ("", "http", "https"):
        return escaped(address)
    anchor = f'<a href="{escaped(address)}" target="_blank" rel="noopener">{escaped(address)}</a>'
    forward = tunnel(address)
    return anchor if forward is None else f"{anchor}, from another machine first <code>{forward}</code>"
