"""Feeds the page of a run: a listener that sends what the events add up to."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dask_validator import __version__
from dask_validator.events import Event, Listeners, Opened, Said, TaskDone
from dask_validator.views.live.progress import PATH, TOPIC, Progress

if TYPE_CHECKING:
    from tornado.ioloop import PeriodicCallback

    from dask_validator.execution.executor import Executor

EVERY_S = 0.5
LAST_WORD_S = 2.0  # for a scheduler that hangs at the end


class Sender:
    """Opens the page once the cluster has a dashboard, and tells it how the run goes on; never fails a run.

    As a context manager it says its last word at the end: the client may be closed at once.

    Attributes
    ----------
    link
        The page; None while there is none.
    """

    def __init__(self, executor: Executor, listeners: Listeners) -> None:
        self.link: str | None = None
        self._executor = executor
        self._tell = listeners
        self._lock = threading.Lock()  # the client's loop asks for messages
        self._client: Any = None
        self._sending: PeriodicCallback | None = None
        self._news = False
        self._progress = Progress() if executor.with_dashboard(self._open) else None
        if self._progress is not None:
            listeners.add(self.listen)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._say_the_last_word()

    def listen(self, event: Event) -> None:
        """Take note of one event."""
        if self._progress is not None:
            try:
                self._note(event, self._progress)
            except Exception as error:  # a page must not cost the run
                self._progress = None
                self._tell(Said(f"the page of this run stops here ({type(error).__name__}: {error})", warning=True))

    def _note(self, event: Event, progress: Progress) -> None:
        if self._client is not None or not isinstance(event, TaskDone):
            with self._lock:
                progress.see(event)
                self._news = True

    def _open(self, client: Any) -> None:
        """Runs beside the run where the cluster does."""
        link = self._executor.dashboard_link
        if link is None:
            return
        try:
            self._add_page(client, link)
        except Exception as error:  # whatever the scheduler lacks
            self._progress = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._tell(Said(f"No page of this run on the dashboard: its scheduler cannot show one ({reason})"))
        self._tell(Opened(link, self.link))

    def _add_page(self, client: Any, dashboard: str) -> None:
        from tornado.ioloop import PeriodicCallback

        from dask_validator.views.live.plugin import ValidationPage

        client.register_plugin(ValidationPage())
        self.link = f"{dashboard.rsplit('/', 1)[0]}/{PATH}"
        self._sending = PeriodicCallback(self._send, EVERY_S * 1000)
        self._client = client
        client.loop.add_callback(self._sending.start)

    async def _send(self) -> None:
        if not self._news or self._client is None or self._progress is None:
            return
        with self._lock:
            message = self._progress.message()
            self._news = False
        with suppress(Exception):  # the next message says it all again
            about = {"version": __version__, "client": self._client.id}
            await self._client.scheduler.log_event(topic=TOPIC, msg=message | about)

    def _say_the_last_word(self) -> None:
        client, sending = self._client, self._sending
        if client is None or sending is None:
            return

        async def last() -> None:
            sending.stop()
            await self._send()

        with suppress(Exception):
            if client.status == "running":
                client.sync(last, callback_timeout=LAST_WORD_S)
            else:
                client.loop.add_callback(sending.stop)
