"""How much memory there is: the machine's, or less in a cgroup."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_validator.system import memory

LIMIT = 2**30  # bytes
V1 = "12:cpu,cpuacct:/elsewhere\n4:memory:{}\n0::/\n"
V2 = "0::{}\n"


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system of cgroups that is ours to fill."""
    monkeypatch.setattr(memory, "ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "OWN", tmp_path / "own")
    return tmp_path / "cgroup"


def fill(folder: Path, limit: object, used: int, stat: str, names: tuple[str, str]) -> None:
    """One cgroup."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(stat)


def fill_v1(folder: Path, limit: object, used: int) -> None:
    """Of version 1."""
    stat = f"inactive_file 1\ntotal_inactive_file {used // 4}\n"
    fill(folder, limit, used, stat, ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def fill_v2(folder: Path, limit: object, used: int) -> None:
    """Of version 2."""
    fill(folder, limit, used, f"anon 7\ninactive_file {used // 4}\n", ("memory.max", "memory.current"))


@pytest.mark.parametrize(
    ("own", "below", "fill"),
    [(V1, "memory", fill_v1), (V2, "", fill_v2), (V2, "unified", fill_v2)],
    ids=["v1", "v2", "v2 beside v1"],
)
def test_the_smallest_cgroup_counts(cgroups: Path, own: str, below: str, fill: object) -> None:
    """A limit anywhere around the process holds, and what is used there, but for idle pages of files, is not there."""
    assert callable(fill)
    fill(cgroups / below / "night" / "run", LIMIT, 400)
    fill(cgroups / below / "night", LIMIT // 2, LIMIT // 4)
    fill(cgroups / below, 2**63 - 4096, 10**12)
    memory.OWN.write_text(own.format("/night/run"))

    assert memory.limit() == LIMIT // 2
    assert memory.available() == LIMIT // 2 - (LIMIT // 4 - LIMIT // 16)


@pytest.mark.parametrize("own", [V2.format("/host/path/of/container"), "0::/\n"], ids=["unseen", "root"])
def test_within_a_container(cgroups: Path, own: str) -> None:
    """A container sees its own cgroup as the root, whatever its path is called outside."""
    fill_v2(cgroups, LIMIT, 0)
    memory.OWN.write_text(own)

    assert memory.limit() == memory.available() == LIMIT


def test_more_used_than_allowed(cgroups: Path) -> None:
    """A limit that was lowered below what is used leaves nothing, not less than nothing."""
    fill_v2(cgroups, LIMIT, 3 * LIMIT)
    memory.OWN.write_text(V2.format("/"))

    assert memory.available() == 0


def test_without_cgroups(cgroups: Path) -> None:
    """Without cgroups, or with one that has no limit, it is the machine's memory."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory.limit() == machine

    fill_v2(cgroups, "max", 0)
    memory.OWN.write_text(V2.format("/"))
    assert memory.limit() == machine
    assert 0 < memory.available() <= machine


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A real cgroup below that of this process, with little memory."""
    for own, files in memory._folders():
        if not (own / files.usage).exists():
            continue
        folder = own / f"dask-validator-test-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / files.limit).write_text(str(LIMIT))
        except OSError:
            folder.rmdir() if folder.exists() else None
            continue
        yield folder
        folder.rmdir()
        return
    pytest.skip("this machine lets us make no memory cgroup")


def test_in_a_real_cgroup(cgroup: Path) -> None:
    """A process that the kernel holds to less memory knows."""
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); "
        "from dask_validator.system import memory; print(memory.limit(), memory.available())"
    )
    ran = subprocess.run([sys.executable, "-c", code, cgroup / "cgroup.procs"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    limit, available = map(int, ran.stdout.split())

    assert limit == LIMIT
    assert LIMIT // 2 < available < LIMIT
