"""The house: who may import whom, and what a worker pays for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dask_validator
from tests.support.parsing import parsed

PACKAGE = Path(dask_validator.__file__).parent
INNER = {"config", "errors", "memory", "model", "pace", "palette", "plain", "sentences"}
MAY_IMPORT = {
    "errors": set(),
    "config": {"errors"},
    "memory": set(),
    "model": set(),
    "plain": set(),
    "pace": set(),
    "sentences": set(),
    "palette": set(),
    "events": {"model"},
    "interrupts": set(),
    "rules": INNER,
    "store": INNER | {"files", "rules"},
    "sources": INNER | {"store"},
    "task": INNER | {"rules", "sources"},
    "execution": INNER | {"sources", "interrupts"},
    "journal": INNER | {"files", "provenance", "rules"},
    "files": {"errors"},
    "outputs": INNER | {"files", "journal", "report", "results_file", "store"},
    "provenance": {"__version__"},
    "order": INNER | {"rules"},
    "tally": INNER | {"rules"},
    "compute": INNER | {"events", "execution", "grouping", "journal", "stopwatch", "store", "task"},
    "live": INNER | {"__version__", "events", "rules"},
    "monitor": INNER | {"events", "result", "rules", "tuning"},
    "collector": set(),
    "stopwatch": set(),
    "tuning": {"model"},
    "surroundings": {"errors"},
    "plan": INNER | {"task"},
    "grouping": INNER | {"plan", "rules", "sources", "task"},
    "commit": INNER
    | {
        "events",
        "interrupts",
        "journal",
        "order",
        "provenance",
        "result",
        "results_file",
        "rules",
        "stopwatch",
        "store",
    },
    "report": INNER | {"result", "rules"},
    "reporting": INNER | {"instruments", "provenance", "report", "result", "rules", "store", "tuning"},
    "result": INNER | {"explanation", "figures", "result_html", "rules", "tuning"},
    "result_html": INNER,
    "figures": INNER,
    "explained": INNER | {"rules"},
    "results_file": INNER | {"files", "rules"},
    "instruments": INNER | {"rules"},
}
EDGES = {
    "duckdb": {"sources", "store"},
    "distributed": {"execution", "live"},  # live: what runs in the scheduler
    "dask": {"execution", "tuning"},  # tuning: how many cores there are
    "bokeh": {"figures", "live"},
    "click": {"monitor"},
    "jinja2": {"report"},
}
ROOTS = {"__init__", "__main__", "api", "cli", "closing", "explanation", "going_on", "options", "run", "demo"}


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
    """The rules know nothing of DuckDB or Dask, the edges nothing of each other."""
    room = _room(path)
    if room in ROOTS:
        return
    inside = {name.split(".")[1] for name in _imports(path) if name.startswith("dask_validator.")}
    outside = {name.split(".")[0] for name in _imports(path)}

    assert inside <= MAY_IMPORT[room] | {room}
    assert {edge for edge in EDGES if edge in outside and room not in EDGES[edge]} == set()


def test_dask_is_behind_a_contract() -> None:
    """Of the compute edge, the rest of the package knows the contract; who starts a run alone knows clusters."""
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in _modules()
        if any(name.startswith("dask_validator.execution.dask") for name in _imports(path))
    }

    assert {name for name in knowing if not name.startswith("execution/dask/")} == {"api.py", "cli.py"}


def test_the_compute_edge_is_read_at_a_glance() -> None:
    """Bodies of at most 40 lines; at most six parameters by position, five of a constructor; files of 300 lines."""
    found = []
    for path in sorted((PACKAGE / "execution").rglob("*.py")):
        source = path.read_text()
        found += [path.name] * (source.count("\n") > 300)
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
    used = {name.split(".")[0] for path in (PACKAGE / "rules").glob("*.py") for name in _imports(path)}

    assert used <= allowed


def test_a_worker_imports_only_what_it_needs() -> None:
    """What every worker process would import it would also pay for."""
    imported = "import sys, dask_validator.task, dask_validator.sources.orb_outcomes"
    code = f"{imported}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert {"numpy", "duckdb"} <= loaded
    assert not loaded & {"pandas", "scipy", "bokeh", "click", "dask", "distributed", "IPython"}


def test_a_run_without_a_report_does_not_load_what_reports_need() -> None:
    """Templates are for those who ask for a report."""
    code = "import sys, dask_validator.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not set(done.stdout.split()) & {"jinja2", "pandas", "bokeh", "distributed"}
