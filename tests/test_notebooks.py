"""The notebooks run, what is saved in them is what they show, and says nothing of the machine they ran on."""

from __future__ import annotations

import getpass
import re
import socket
from pathlib import Path

import nbformat
import pytest

from tests.notebooks import EXEC, FIGURE, LOAD, NOTEBOOKS, TIMINGS, execute, stable, tidied

MOST_BYTES = 1_000_000
NOT_SAVED = re.compile(
    "|".join(("/tmp", "/home/", "/root", "/work", "/var/folders", r"\.venv", "site-packages", r"\bPID\b", r"pid=")),
)


def named(paths: list[Path]) -> pytest.MarkDecorator:
    """One test for each notebook."""
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def test_there_are_seven_notebooks() -> None:
    """A first run, the workers, the verdicts, one's own database, trades of other backtesters, a week, luck."""
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07"]


@named(NOTEBOOKS)
def test_a_notebook_shows_what_is_saved_in_it(path: Path, tmp_path: Path) -> None:
    """Each runs from the top without an error; but for timings, its outputs are those that are committed."""
    saved = nbformat.read(path, as_version=4)

    ran = tidied(execute(path, tmp_path), lambda element, script: b"")

    assert stable(ran) == stable(saved)
    assert list(tmp_path.iterdir()) == []  # what a notebook makes is in its temporary folder


@named(NOTEBOOKS)
def test_a_saved_notebook_is_small_and_can_be_read_where_nothing_runs(path: Path) -> None:
    """Every output has plain text, figures are pictures, and Bokeh's own code is not in the file."""
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())]
    bundles = [output.data for output in outputs if "data" in output]

    assert path.stat().st_size < MOST_BYTES
    assert bundles
    assert all(bundle["text/plain"] for bundle in bundles)
    assert not any(LOAD in bundle or EXEC in bundle or "application/javascript" in bundle for bundle in bundles)
    assert all("image/png" in bundle for bundle in bundles if bundle["text/plain"] == FIGURE)


@named(NOTEBOOKS)
def test_a_saved_notebook_says_nothing_of_the_machine(path: Path) -> None:
    """No path, no host, no user, no process id; pictures apart, which show figures only."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("image/png", None)
    text = nbformat.writes(notebook)

    assert NOT_SAVED.findall(text) == []
    assert socket.gethostname() not in text
    assert getpass.getuser() not in re.findall(r"\w+", text)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_cells_with_timings_are_the_exception() -> None:
    """The tag must not become a way around the comparison."""
    cells = [c for path in NOTEBOOKS for c in nbformat.read(path, as_version=4).cells if c.get("outputs")]

    assert sum(TIMINGS in cell.metadata.get("tags", ()) for cell in cells) < 0.5 * len(cells)
