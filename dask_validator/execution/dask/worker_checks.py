"""Whether the workers of a cluster that we did not start can compute for us, asked before any work."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from distributed import Client

from dask_validator.errors import InputError
from dask_validator.execution.dask import envelope
from dask_validator.execution.dask.asking import asked
from dask_validator.execution.dask.envelope import PACKAGES, Versions
from dask_validator.system.same_file import Identity, identity

MOST_ROWS = 10


def check_versions(client: Client) -> list[str]:
    """Compare every worker's versions with ours; what is worth a warning is returned.

    Raises
    ------
    InputError
        A worker runs another Python, dask or dask_validator, or lacks a package; `details` is the table.
    """
    ours, theirs = envelope.versions(), _versions(client)
    apart = {worker: envelope.differences(ours, versions) for worker, versions in theirs.items()}
    if unfit := {worker: fatal for worker, (fatal, _) in apart.items() if fatal}:
        names = sorted(set().union(*unfit.values()))
        raise InputError(
            f"{len(unfit)} of {len(theirs)} workers differ from this process in {', '.join(names)}; install the same "
            "there, then run again",
            details=_table(ours, {worker: theirs[worker] for worker in unfit}, names),
        )
    slightly = {worker: names for worker, (_, names) in apart.items() if names}
    return [_warning(ours, theirs, slightly)] if slightly else []


def without_nanny(client: Client) -> list[str]:
    """A warning when a worker that hangs or dies would be missing from then on."""
    workers = asked(lambda: client.scheduler_info(n_workers=-1))["workers"].values()
    count = sum(worker["nanny"] is None for worker in workers)
    if not count:
        return []
    return [f"{count} workers have no nanny: a hung one cannot be ended (--task-timeout), a dead one is not replaced"]


def unfit_workers(client: Client) -> dict[str, Versions]:
    """Workers that cannot compute for us, with what they run."""
    ours = envelope.versions()
    return {worker: theirs for worker, theirs in _versions(client).items() if envelope.differences(ours, theirs)[0]}


def _versions(client: Client) -> dict[str, Versions]:
    """By worker; asked with functions of the standard library, which a worker without our package has too."""
    answers = {name: _everywhere(client, importlib.metadata.version, name) for name in PACKAGES}
    answers["python"] = _everywhere(client, platform.python_version)
    there_all_along = sorted(set.intersection(*map(set, answers.values())))
    asked = {worker: {name: answers[name][worker] for name in answers} for worker in there_all_along}
    return {
        worker: {name: "missing" if isinstance(v, PackageNotFoundError) else str(v) for name, v in of_worker.items()}
        for worker, of_worker in asked.items()
        if not any(isinstance(v, OSError) for v in of_worker.values())  # it left while we asked
    }


def _everywhere(client: Client, function: Callable[..., object], *args: str) -> dict[str, Any]:
    """What the function returns or raises, by worker."""
    answers: dict[str, Any] = asked(lambda: client.run(function, *args, on_error="return"))
    return answers


def _table(ours: Versions, theirs: Mapping[str, Versions], names: Iterable[str]) -> str:
    shown = list(theirs.items())[:MOST_ROWS]
    rows = [("", *names), ("here", *(ours[name] for name in names))]
    rows += [(worker, *(versions[name] for name in names)) for worker, versions in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    hidden = len(theirs) - len(shown)
    return "\n".join([*lines, f"... and {hidden} more"] if hidden else lines)


def _warning(ours: Versions, theirs: Mapping[str, Versions], slightly: Mapping[str, list[str]]) -> str:
    pairs = {(name, theirs[worker][name]) for worker, names in slightly.items() for name in names}
    words = ", ".join(f"{name} {version} (here {ours[name]})" for name, version in sorted(pairs))
    return f"{len(slightly)} of {len(theirs)} workers run {words}"


def blind_workers(client: Client, path: Path) -> list[str]:
    """Workers that do not see, or may not read, the same file at this path."""
    expected = identity(str(path))
    seen = _everywhere(client, identity, str(path))
    return sorted(
        worker
        for worker, theirs in seen.items()
        if expected is None or not isinstance(theirs, Identity) or not expected.is_same(theirs)
    )
