"""What made a result: versions of the packages, and the source of the rules."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from dask_validator import __version__

PACKAGES = ("dask", "distributed", "duckdb", "numpy", "pandas", "scipy")
# What turns outcomes into answers.
_FACTS = ("walkforward", "seasons", "stops", "costs", "day_masks", "json_values")
_COMPUTING = (
    *(f"rules/{name}.py" for name in _FACTS),
    *(
        "model.py",
        "work/piece.py",
        "work/work.py",
        "work/walkforward.py",
        "sources",
        "store/filter_text.py",
        "store/filter_days.py",
        "store/kinds.py",
        "filters",
        "profiles/filters",
    ),
)

_JUDGING = ("config/run_config.py", "rules/gates.py", "rules/judging.py", "rules/costs.py", "rules/yearly.py")


def versions() -> dict[str, str]:
    """By package, Python and this one included."""
    ours = {"python": platform.python_version(), "dask_validator": __version__}
    return ours | {name: version(name) for name in PACKAGES}


def source_of_the_rules() -> str:
    """A hash of the source that answers depend on."""
    return _hash_of(_COMPUTING)


def source_of_the_worlds() -> str:
    """A hash of the source that null worlds depend on."""
    return _hash_of((*_COMPUTING, *_JUDGING, "universe", "work/worlds.py"))


@lru_cache(maxsize=2)
def _hash_of(parts: tuple[str, ...]) -> str:
    package = files("dask_validator")
    digest = hashlib.sha256()
    for part in parts:
        for name, source in _sources(package / part):
            digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return digest.hexdigest()


def _sources(place: Traversable) -> Iterator[tuple[str, bytes]]:
    if place.is_file():
        yield place.name, place.read_bytes()
    else:
        found = (entry for entry in place.iterdir() if entry.name.endswith((".py", ".toml")))
        yield from ((entry.name, entry.read_bytes()) for entry in sorted(found, key=lambda entry: entry.name))
