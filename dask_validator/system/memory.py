"""How much memory this process and its children may take: what the machine has, or less where a cgroup says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")  # `number:controllers:path`, a line for each hierarchy


class _Files(NamedTuple):
    """What the files of a memory cgroup are called."""

    limit: str
    usage: str
    inactive: str  # in memory.stat: pages of files that count as used and go when memory is asked for


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "inactive_file")


def limit() -> int:
    """Bytes, used or not: of the machine, or of the smallest cgroup that this process is in."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *(bound for bound, _ in _cgroups())])


def available() -> int:
    """Bytes that can be taken now without swapping, in the machine and in every cgroup of this process."""
    import psutil  # takes longer to import than to ask

    return min([int(psutil.virtual_memory().available), *(max(bound - used, 0) for bound, used in _cgroups())])


def _cgroups() -> Iterator[tuple[int, int]]:
    """Limit and use in bytes of the memory cgroups around this process, as far as they have a limit."""
    for folder, files in _folders():
        bound, used = _number(folder / files.limit), _number(folder / files.usage)
        if bound is not None and used is not None:  # else `max`, or no such file
            yield bound, used - _inactive(folder, files)


def _folders() -> Iterator[tuple[Path, _Files]]:
    for line in _text(OWN).splitlines():
        number, controllers, path = line.split(":", 2)
        # Seen from within a container the path may begin further out: then only the last folder is there.
        own = Path(path.lstrip("/"))
        if number == "0":
            yield from ((root / place, _V2) for root in (ROOT, ROOT / "unified") for place in (own, *own.parents))
        elif "memory" in controllers.split(","):
            yield from ((ROOT / "memory" / place, _V1) for place in (own, *own.parents))


def _inactive(folder: Path, files: _Files) -> int:
    stated = dict(line.split(" ", 1) for line in _text(folder / "memory.stat").splitlines())
    return int(stated.get(files.inactive, 0))


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # another system than Linux, or cgroups of the other version
        return ""
