"""What lives in the scheduler: the state of the last runs, and their page on its dashboard.

How a page gets there is known to no other module: Dask does not promise it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_validator import __version__
from dask_validator.events import Ending
from dask_validator.views.live.columns import View
from dask_validator.views.live.progress import PATH, TOPIC, Message, State

if TYPE_CHECKING:
    from distributed import Scheduler

MOST_RUNS = 20
MOST_CHANGES = 200  # of the number of workers


class Run:
    """What the scheduler knows of one run."""

    def __init__(self) -> None:
        self.message: Message = {"number": 0}
        self.received = 0.0
        self.threads: list[tuple[float, int]] = []  # seconds of computing, and threads of the cluster from then on

    def take(self, message: Message, threads: int) -> None:
        """The newest message counts, whatever the order they come in."""
        if message["number"] <= self.message["number"]:
            return
        self.message, self.received = message, time.monotonic()
        if message["state"] == State.COMPUTING and threads and (not self.threads or self.threads[-1][1] != threads):
            self.threads = [*self.threads[-MOST_CHANGES:], (message["computing_s"], threads)]


class ValidationPage(SchedulerPlugin):
    """One for all runs and clients of a cluster, however often it is registered."""

    name = "dask-validator-page"
    idempotent = True

    def __init__(self) -> None:
        self._version = __version__
        self._runs: dict[str, Run] = {}
        self._scheduler: Scheduler | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Put the page on the dashboard.

        Raises
        ------
        RuntimeError
            The scheduler has another version of this package, or serves no dashboard.
        """
        if self._version != __version__:
            raise RuntimeError(f"it has dask_validator {__version__}, here is {self._version}")
        from dask_validator.views.live.document import document

        _add_page(scheduler, PATH, partial(document, self))
        self._scheduler = scheduler

    def log_event(self, topic: Any, msg: Any) -> None:
        """Keep what a run says, and only the last of it: Dask would keep 100,000 messages."""
        if topic != TOPIC or self._scheduler is None:
            return
        self._scheduler._broker.truncate(TOPIC)
        if not isinstance(msg, dict) or msg.get("version") != __version__:
            return  # of a run that another version's client has started meanwhile
        self._runs.setdefault(msg["run_id"], Run()).take(msg, self._scheduler.total_nthreads)
        while len(self._runs) > MOST_RUNS:
            del self._runs[min(self._runs, key=lambda run_id: self._runs[run_id].message["started"])]

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """A run whose process has gone says no last word."""
        for run in self._runs.values():
            if run.message["client"] == client and not run.message["ended"]:
                run.message |= {
                    "state": str(Ending.INTERRUPTED),
                    "ended": True,
                    "reason": "the process that ran it has gone",
                    "elapsed_s": run.message["elapsed_s"] + time.monotonic() - run.received,
                }

    def runs(self) -> list[tuple[str, Message]]:
        """All runs, the latest first."""
        known = [(run_id, run.message) for run_id, run in self._runs.items()]
        return sorted(known, key=lambda of_run: of_run[1]["started"], reverse=True)

    def view(self, run_id: str) -> View:
        """One run as it stands."""
        run = self._runs[run_id]
        return View(run.message, time.monotonic() - run.received, self._running(run_id), run.threads)

    def _running(self, run_id: str) -> int:
        """Tasks of the run that workers have begun; others wait there for a thread."""
        assert self._scheduler is not None
        of_run = f"-{run_id}-"  # in the keys of tasks, whatever kind of question they ask
        return sum(
            min(worker.nthreads, sum(of_run in str(task.key) for task in worker.processing))
            for worker in self._scheduler.workers.values()
        )


def _add_page(scheduler: Scheduler, path: str, document: Any) -> None:
    from bokeh.server.tornado import BokehTornado
    from distributed.dashboard.core import BokehApplication
    from distributed.dashboard.scheduler import template_variables
    from tornado.ioloop import IOLoop

    of_dask = [app for app in scheduler.http_application.applications if isinstance(app, BokehTornado)]
    if not of_dask:
        raise RuntimeError("it serves no dashboard")
    variables = template_variables(scheduler)  # the same object at every call: all pages show its list
    application = BokehApplication({f"/{path}": document}, scheduler, of_dask[0].prefix, variables)
    scheduler.http_application.add_application(application)
    application.initialize(IOLoop.current())
    application.start()
    if path not in variables["pages"]:
        variables["pages"].append(path)
