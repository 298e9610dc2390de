"""How a command ends: its summary and report, and the dashboard kept for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_validator.cli.options import UNTIL_INTERRUPT
from dask_validator.config import RunConfig
from dask_validator.errors import InputError
from dask_validator.run.outcome import Outcome
from dask_validator.views.monitor import calibrated, summary
from dask_validator.views.monitor.terminal import Terminal, echo

if TYPE_CHECKING:
    from dask_validator.universe.calibration import Calibration

Flags = dict[str, Any]
ONE_OF_SEVERAL = "one_of_several"  # runs of the same command


def close(
    terminal: Terminal,
    result: Outcome,
    flags: Flags,
    appendix: Callable[[Outcome], str] | None = None,
) -> None:
    """The summary on stdout, or its object with `--json` unless it is one of several; the rest on stderr."""

    def tell(text: str) -> None:
        if not flags["quiet"]:
            echo(text, err=flags["as_json"])

    if result.waiting == 0:
        terminal.warn(result.warnings)
        tell(summary.nothing_waiting(result))
    else:
        terminal.say("")
        tell(summary.render(result.summary))
        if result.calibration:
            of_worlds = calibrated.render(result.summary["instrument"], result.summary["calibration"])
            tell(f"\n{of_worlds}\n")
            terminal.warn(calibrated.doubts(result.calibration))
        if appendix:
            tell(appendix(result))
        terminal.warn(result.warnings)
        terminal.warn(summary.failures(result.verdicts.failures(), most=None if flags["verbose"] else 10))
        if where := summary.lines_appended(result):
            tell(where)
        tell(summary.ending(result))
        if flags["verbose"]:
            tell(summary.statistics(result))
    if flags["report"]:
        _write_report(terminal, result, flags["report"])
    if flags["as_json"] and not flags.get(ONE_OF_SEVERAL):
        echo(json.dumps(result.summary), err=False)


def _write_report(terminal: Terminal, result: Outcome, path: Path) -> None:
    """A report that cannot be written does not change how the run has ended."""
    from dask_validator.views.report.of_run import report_result

    later = "a committed run has one at any time: dask-validator report"
    if not result.summary["rows"]:
        terminal.say(f"{result.summary['instrument']}: nothing was validated, no report written; {later}")
        return
    with writing(terminal, "Report", path, later):
        report_result(result, result.order.config if result.order else RunConfig(), path)


def write_calibration(terminal: Terminal, found: Calibration, database: Path, path: Path) -> None:
    """The page of a calibration."""
    from dask_validator.views.report.of_calibration import report_calibration

    with writing(terminal, "Report", path):
        report_calibration(found, database, path)


@contextmanager
def writing(terminal: Terminal, what: str, path: Path, later: str = "the numbers are above") -> Iterator[None]:
    """Say what becomes of a file; an error of it is a warning, as all else is done."""
    terminal.begin(f"Writing the {what.lower()}")
    try:
        yield
        terminal.say(f"{what}: {path.absolute()}")
    except InputError as error:
        terminal.warn([f"{error}; {later}"])
    except Exception as error:
        terminal.warn([f"the {what.lower()} could not be made ({type(error).__name__}: {error}); {later}"])
    finally:
        terminal.end_progress()


def keep_dashboard(terminal: Terminal, link: str | None, seconds: float | None) -> None:
    """Wait with the cluster still there, when that was asked for."""
    if seconds is None:
        return
    if link is None:
        terminal.warn(["--keep-dashboard has nothing to keep: no cluster was needed, or it has no dashboard"])
        return
    until = "Ctrl-C" if seconds == UNTIL_INTERRUPT else f"Ctrl-C or {seconds:g} s have passed"
    echo(f"The dashboard stays at {link} until {until}")
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
    except KeyboardInterrupt:
        pass  # the way out that the line above offers
