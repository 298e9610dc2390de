"""One run as a process of its own; prints what it measured as JSON.

usage: one_run.py DB INSTRUMENT WORKERS {commit,dry} [JSONL]
"""

from __future__ import annotations

import json
import sys
import threading
import time

import psutil

from dask_validator import RunConfig, validate

SAMPLE_S = 0.5  # more often, it would compete for the cores


class PeakMemory(threading.Thread):
    """The largest resident set of any process of this run, sampled."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0

    def run(self) -> None:
        """Look until the process ends."""
        here = psutil.Process()
        while True:
            for process in [here, *here.children(recursive=True)]:
                try:
                    self.megabytes = max(self.megabytes, process.memory_info().rss / 2**20)
                except psutil.Error:
                    continue  # it has just ended
            time.sleep(SAMPLE_S)


def main(db: str, instrument: str, workers: str, mode: str, jsonl: str = "") -> None:
    """Validate and measure."""
    memory = PeakMemory()
    memory.start()
    config = RunConfig(dry_run=mode == "dry", **({"wf_output": jsonl} if jsonl else {}))
    result = validate(db, instrument, config, workers=int(workers), progress=False)
    measured = {
        "summary": result.summary,
        "stages": result.stages,
        "start_up_s": result.start_up_s,
        "forecasts": {forecast.workers: forecast.total_s for forecast in result.forecasts},
        "recommended": [forecast.workers for forecast in result.forecasts if forecast.recommended],
        "tasks": [timing.wall_s for timing in result.timings],
        "peak_mb": memory.megabytes,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
