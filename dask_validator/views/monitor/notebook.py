"""Progress in Jupyter: one output that is updated while the run goes on, and saved as it was last."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from dask_validator.errors import InputError, ValidatorError
from dask_validator.events import Event, TaskDone
from dask_validator.views.monitor.notebook_view import View, as_html, as_text

PAUSE_S = 0.25  # between two updates that show nothing but progress


class Kept(Protocol):
    """What a run leaves to the next one, as far as it is spoken of here."""

    path: Path | None

    @property
    def keeps(self) -> bool:
        """Whether there is something to take over."""
        ...


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel; IPython on a terminal is none."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


class Notebook:
    """A listener that shows a run below the cell; nothing but warnings when quiet."""

    def __init__(
        self,
        title: str,
        *,
        quiet: bool = False,
        dashboard_stays: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.journal: Kept | None = None  # known once the run has one
        self._quiet = quiet
        self._dashboard_stays = dashboard_stays
        self._clock = clock
        self._view = View(title)
        self._shown_at = clock()
        self._handle: Any = None

    def __enter__(self) -> Notebook:
        self._show()
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if not self._dashboard_stays:
            self._view = self._view._replace(dashboard=None)  # it has gone with the run
        if error is not None:
            self._view = self._view.ended(self._ending(error))
        elif self._view.state != "committed":
            self._view = self._view.ended("done, nothing written")
        if isinstance(error, KeyboardInterrupt | ValidatorError):
            _show_in_one_line(error)
        self._show()

    def say(self, text: str) -> None:
        """One line."""
        self._view = self._view.saying(text)
        self._show()

    def warn(self, warnings: Iterable[str]) -> None:
        """Warnings are shown even when quiet."""
        self._view = self._view.warning(warnings)
        self._show()

    def listen(self, event: Event) -> None:
        """Show one event."""
        now = self._clock()
        self._view = self._view.after(event, now)
        if not isinstance(event, TaskDone) or now - self._shown_at >= PAUSE_S:
            self._show()

    def _ending(self, error: BaseException) -> str:
        """How a run ended that did not end well, and what to do next; the error itself is shown below."""
        name = "interrupted" if isinstance(error, KeyboardInterrupt) else f"ended by {type(error).__name__}"
        if self._view.state == "committed":
            return f"{name}; the database is committed"
        if isinstance(error, InputError):
            return f"{name}, nothing written"
        if self.journal is None or self.journal.path is None or not self.journal.keeps:
            return f"{name}, nothing written, and nothing to take over: run the cell again to start anew"
        return f"{name}, nothing written; what is computed is kept in {self.journal.path.name}: run the cell again"

    def _show(self) -> None:
        if self._quiet and not self._view.warnings:
            return
        now = self._shown_at = self._clock()
        view = self._view.only_warnings() if self._quiet else self._view
        bundle = {"text/plain": as_text(view, now), "text/html": as_html(view, now)}
        if self._handle is None:
            self._handle = _display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _display(*bundle: Any, **how: Any) -> Any:
    from IPython.display import display

    return display(*bundle, **how)


def _show_in_one_line(error: BaseException) -> None:
    """Instead of a traceback; IPython keeps the last error, which must not keep all that the run had in memory."""
    traceback.clear_frames(error.__traceback__)
    line = ": ".join(filter(None, [type(error).__name__, str(error)]))
    vars(error)["_render_traceback_"] = lambda: [line]
