"""What the live page costs: CPU seconds of everything that only it needs, against those of the run.

usage: page_cost.py DB [RUNS]

Dry runs on a LocalCluster of two workers, in turn with the page open (a Bokeh client in another process, which gets
what a browser gets) and closed. The scheduler runs in this process, so its CPU seconds are ours.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
from bokeh.protocol.message import Message
from distributed import Client, LocalCluster

from dask_validator import validate
from dask_validator.views.live import document, plugin, progress

spent: Counter[str] = Counter()
OPEN_PAGE = "import sys; from bokeh.client import pull_session; pull_session(url=sys.argv[1])._loop_until_closed()"


def timed(owner: Any, name: str, part: str) -> None:
    """Add the CPU seconds of a method or property to a part of the cost."""
    original = vars(owner)[name]
    function: Callable[..., Any] = original.fget if isinstance(original, property) else original

    def measured(*args: Any, **options: Any) -> Any:
        started = time.thread_time()
        try:
            return function(*args, **options)
        finally:
            spent[part] += time.thread_time() - started

    setattr(owner, name, property(measured) if isinstance(original, property) else measured)


def cpu_s() -> float:
    """Of this process and its workers so far."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes if "pull_session" not in str(process.cmdline()))


def main(db: str, runs: str = "3") -> None:
    """Measure and print."""
    timed(progress.Progress, "see", "sender")
    timed(progress.Progress, "message", "sender")
    timed(plugin.ValidationPage, "log_event", "plugin")
    timed(document.Drawn, "update", "page")
    timed(Message, "content_json", "page")
    totals: dict[bool, list[float]] = {True: [], False: []}
    parts: list[Counter[str]] = []
    for is_open in [False, True] * int(runs):
        options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster, Client(cluster) as client:
            client.register_plugin(plugin.ValidationPage())
            link = client.dashboard_link.replace("/status", "/validation")
            browser = subprocess.Popen([sys.executable, "-c", OPEN_PAGE, link]) if is_open else None
            time.sleep(3)
            spent.clear()
            before = cpu_s()
            validate(db, dry_run=True, client=client, progress=False)
            totals[is_open].append(cpu_s() - before)
            if is_open:
                parts.append(Counter(spent))
            if browser is not None:
                browser.kill()
    median = {part: statistics.median(of_run[part] for of_run in parts) for part in ("sender", "plugin", "page")}
    run_s = statistics.median(totals[True])
    print(json.dumps({"cpu_s": totals[True], "cpu_s_page_closed": totals[False], "parts": median}))
    print(f"{sum(median.values()):.3f} of {run_s:.2f} CPU seconds: {sum(median.values()) / run_s:.2%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
