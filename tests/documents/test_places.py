"""What a document points at is there: links, files, modules, `make` targets, names of the Python interface."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import dask_validator
from dask_validator.views.result import RunResult
from tests.documents.pages import ROOT, code, documents, fenced, page, prose, section
from tests.support.parsing import parsed

PAGES = documents()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PLACE = re.compile(r"(?<![\w./-])(?:dask_validator|tests|benchmarks|docs|notebooks)/[\w./-]*\w")
MADE = {"benchmarks/data"}  # by `make bench`


def _anchors(text: str) -> set[str]:
    """The names under which the headings of a page are linked."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(source: str, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (ROOT / source).parent / name if name else ROOT / source
    return target.exists() and (not anchor or anchor in _anchors(target.read_text()))


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    """Links within the project lead to a file that is there, and to a heading that it has."""
    links = [link for link in LINK.findall(prose(PAGES[name])) if "://" not in link]

    assert [link for link in links if not _leads_somewhere(name, link)] == []


def test_every_document_can_be_found() -> None:
    """Each page of docs/, and those of notebooks and benchmarks, is linked from the README."""
    linked = {link.partition("#")[0] for link in LINK.findall(page("README.md"))}

    assert {name for name in PAGES if "/" in name and name.endswith(".md")} - linked == set(), "link it in README.md"


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_is_there(name: str) -> None:
    """A path below the project, in text or code, is one that the project has."""
    places = set(PLACE.findall(LINK.sub("", PAGES[name])))

    assert [place for place in places - MADE if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_module_that_is_named_is_there(name: str) -> None:
    """A Python file named by itself lies beside the document, or in the package."""
    folders = ((ROOT / name).parent, ROOT / "dask_validator")
    named = {each for each in code(prose(PAGES[name])) if re.fullmatch(r"\w+\.py", each)}

    assert [each for each in named if not any((folder / each).exists() for folder in folders)] == []


def test_every_part_of_the_diagram_is_there() -> None:
    """The picture of how it works names modules of the package and what is in them."""
    [diagram] = fenced(section(page("README.md"), "## How it works"))
    named = set(re.findall(r"\b(?:store|rules|work|run)\.\w+", diagram))

    assert len(named) > 5
    assert [each for each in named if not _importable(each)] == []


def _importable(name: str) -> bool:
    module, attribute = f"dask_validator.{name}".rsplit(".", 1)
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(
            importlib.import_module(f"{module}.{attribute}")
        )
    except ImportError:
        return False


def test_every_file_that_the_code_names_is_there() -> None:
    """The same for docstrings, comments, messages and the Makefile."""
    sources = [path for folder in ("dask_validator", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    named = {(path.name, place) for path in [*sources, ROOT / "Makefile"] for place in PLACE.findall(path.read_text())}

    assert [(name, place) for name, place in named if place not in MADE and not (ROOT / place).exists()] == []


def test_every_module_on_the_map_is_there() -> None:
    """The table of where things live names packages and modules that exist, and every package."""
    lines = [code(line) for line in section(page("README.md"), "## Where things live").splitlines() if "`" in line]
    calls = re.compile(r"make \w+|validate\(\)")
    named = [(Path(line[0]), name) for line in lines for name in line if not calls.fullmatch(name)]
    packages = {f"dask_validator/{path.parent.name}/" for path in (ROOT / "dask_validator").glob("*/__init__.py")}

    assert [name for first, name in named if not _module(first, name)] == []
    assert packages - {line[0] for line in lines} == set()


def _module(first: Path, name: str) -> bool:
    """Whether a name is a path, or one in the folder that its line begins with."""
    folder = ROOT / (first.parent if first.suffix else first)
    return any(path.exists() for path in (ROOT / name, folder / name, folder / f"{name}.py"))


def test_every_make_target_that_is_named_is_there() -> None:
    """`make bench` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    quoted = [part for text in PAGES.values() for part in [*code(prose(text)), *fenced(text)]]
    named = {target for part in quoted for target in re.findall(r"(?:^|\$ )make ([\w-]+)", part, re.MULTILINE)}

    assert named
    assert named - targets == set()


def _python(text: str) -> list[ast.Module]:
    return [parsed(block) for block in fenced(text, "python")]


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith(".md")])
def test_python_in_a_document_is_that_of_the_package(name: str) -> None:
    """Blocks of Python are Python; what they import from the package, and ask of a result, is there."""
    nodes = [node for module in _python(PAGES[name]) for node in ast.walk(module)]
    imported = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "dask_validator"
        for alias in node.names
    }
    asked = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "result"
    }

    assert [each for each in imported if not hasattr(dask_validator, each)] == []
    there = {*dir(RunResult), *(field.name for field in dataclasses.fields(RunResult))}
    assert [each for each in asked if each not in there] == []
