"""The house: who may import whom, and what a worker pays for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dask_validator
from tests.support.parsing import parsed

PACKAGE = Path(dask_validator.__file__).parent
GROUND = {"config", "errors", "events", "model", "system", "wording"}
# By package or module, what it may import beside itself. Whoever starts a run, or makes its data, knows all others.
MAY_IMPORT = {
    "errors": set(),
    "config": {"errors", "model"},
    "model": set(),
    "events": {"model"},
    "system": {"errors"},
    "wording": set(),
    "filters": {"config", "errors"},
    "rules": {"config", "errors", "filters", "model"},
    "universe": {"config", "errors", "filters", "model", "rules"},
    "store": GROUND | {"filters", "rules"},
    "sources": GROUND | {"store"},
    "trade_files": GROUND | {"store"},
    "execution": GROUND,
    "journal": GROUND | {"__version__", "rules"},
    "work": GROUND | {"execution", "filters", "journal", "rules", "sources", "store", "universe"},
    "promoted": {"config", "model", "rules"},
    "run": GROUND | {"filters", "journal", "promoted", "rules", "sources", "store", "trade_files", "universe", "work"},
    "explanation": GROUND | {"execution", "filters", "rules", "run", "sources", "store", "work"},
    "views": GROUND
    | {"__version__", "explanation", "filters", "journal", "promoted", "rules", "run", "store", "universe"},
    "demo": GROUND | {"rules", "run", "sources", "store"},
}
MAY_IMPORT["api"] = {*MAY_IMPORT} - {"demo"}
MAY_IMPORT["cli"] = {*MAY_IMPORT, "__version__"}
ROOTS = {"__init__", "__main__"}
EDGES = {
    "duckdb": {"demo", "run/importing", "sources", "store", "trade_files"},
    "distributed": {"execution", "views/live"},  # live: what runs in the scheduler
    "dask": {"api", "execution", "system"},  # api: whether its configuration can be read; system: how many cores
    "bokeh": {"views/live", "views/plots"},
    "click": {"cli", "views/monitor"},
    "jinja2": {"views/report"},
}
MOST_ROOMS = 30


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(path: Path) -> set[str]:
    """Modules imported at run time; those under TYPE_CHECKING only describe arguments."""
    tree = parsed(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_inwards(path: Path) -> None:
    """The rules know nothing of DuckDB or Dask, the edges nothing of each other, and only the edges of libraries."""
    room, place = _room(path), str(path.relative_to(PACKAGE).with_suffix(""))
    inside = {name.split(".")[1] for name in _imports(path) if name.startswith("dask_validator.")}
    outside = {name.split(".")[0] for name in _imports(path)}

    assert room in ROOTS or inside <= MAY_IMPORT[room] | {room}
    assert [edge for edge in EDGES if edge in outside and not any(place.startswith(own) for own in EDGES[edge])] == []


def test_no_package_imports_upwards() -> None:
    """What may import what has an order: no two packages need each other."""
    above = {room: may - GROUND - {"__version__"} for room, may in MAY_IMPORT.items() if room not in GROUND}
    while ready := [room for room, may in above.items() if not may & above.keys()]:
        for room in ready:
            del above[room]

    assert above == {}


def test_only_the_source_names_its_table() -> None:
    """Outcomes from elsewhere are one more source: nobody else knows what theirs are called."""
    name = re.compile(r"(?<!sources\.)orb_outcomes")
    naming = [str(path.relative_to(PACKAGE)) for path in _modules() if name.search(path.read_text())]

    assert naming == ["sources/orb_outcomes.py"]


def test_a_newcomer_sees_the_rooms_at_once() -> None:
    """Few packages and modules at the level that one reads first, of the latter only what all others use."""
    rooms = {_room(path) for path in _modules()}
    loose = {path.stem for path in PACKAGE.glob("*.py")}

    assert len(rooms) <= MOST_ROOMS
    assert loose == {"__init__", "__main__", "errors", "events", "model"}


def test_dask_is_behind_a_contract() -> None:
    """Of the compute edge, the rest of the package knows the contract; who starts a run alone knows clusters."""
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in _modules()
        if any(name.startswith("dask_validator.execution.dask") for name in _imports(path))
    }

    knowing = {name for name in knowing if not name.startswith("execution/dask/")}
    assert knowing == {"api/executors.py", "cli/luck.py", "cli/sweeping.py", "cli/validating.py"}


def test_every_function_is_read_at_a_glance() -> None:
    """Bodies of at most 40 lines; at most six parameters by position, five of a constructor."""
    found = []
    for path in _modules():
        source = path.read_text()
        for function in ast.walk(parsed(source)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            statements = function.body[ast.get_docstring(function) is not None :] or function.body
            positional = [a for a in function.args.posonlyargs + function.args.args if a.arg not in ("self", "cls")]
            too_long = statements[-1].end_lineno - statements[0].lineno >= 40  # type: ignore[operator]
            if too_long or len(positional) > (5 if function.name == "__init__" else 6):
                found.append(f"{path.name}: {function.name}")

    assert found == []


def test_rules_are_pure() -> None:
    """The rules read no file and no clock: only numpy and a few modules of the standard library are theirs."""
    allowed = {
        "__future__",
        *("bisect", "calendar", "collections", "dask_validator", "dataclasses", "datetime", "enum", "functools"),
        *("itertools", "json", "math", "numpy", "operator", "re", "string", "typing", "zlib", "zoneinfo"),
    }
    used = {
        room: {name.split(".")[0] for path in (PACKAGE / room).glob("*.py") for name in _imports(path)}
        for room in ("rules", "promoted")
    }

    assert used["rules"] <= allowed
    assert used["promoted"] <= {*allowed, "hashlib"}


def test_a_worker_imports_only_what_it_needs() -> None:
    """What every worker process would import it would also pay for."""
    imported = "import sys, dask_validator.work.walkforward, dask_validator.sources.orb_outcomes"
    code = f"{imported}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert {"numpy", "duckdb"} <= loaded
    assert not loaded & {"pandas", "scipy", "bokeh", "click", "dask", "distributed", "IPython"}


def test_a_run_alone_loads_neither_null_worlds_nor_sweeps_nor_comparisons() -> None:
    """Who does not ask how much is luck, for other thresholds, or what has changed, starts as fast as before."""
    code = "import sys, dask_validator.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    only_of_others = ("dask_validator.universe", "scipy", "dask_validator.run.sw", "dask_validator.rules.si")
    only_of_others += ("dask_validator.rules.diff", "dask_validator.run.audit", "dask_validator.explanation")
    loaded = [name for name in done.stdout.split() if name.startswith(only_of_others)]

    assert loaded == []


def test_a_run_without_a_report_does_not_load_what_reports_need() -> None:
    """Templates are for those who ask for a report."""
    code = "import sys, dask_validator.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()

    assert not {name.split(".")[0] for name in loaded} & {"jinja2", "pandas", "bokeh", "distributed"}
    assert [name for name in loaded if name.startswith(("dask_validator.promoted", "dask_validator.run.taken"))] == []
