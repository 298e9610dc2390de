"""Run the notebooks and save them with their outputs: `python -m tests.notebooks`, which is `make notebooks`.

A saved notebook has to be readable where nothing runs, and small. So a figure is saved as a picture, which Chromium
takes of it, instead of the JavaScript that draws it, and Bokeh's own code, four megabytes, is not saved at all: whoever
runs the notebook gets it from their own installation.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import nbformat

from tests.support.browser import open_browser

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
TIMINGS = "timings"  # the tag of a cell whose output differs from run to run
LOAD, EXEC = "application/vnd.bokehjs_load.v0+json", "application/vnd.bokehjs_exec.v0+json"
FIGURE = "a Bokeh figure: run the notebook to move in it"

Picture = Callable[[str, str], bytes]  # the element and the script of a figure to PNG


def execute(path: Path, folder: Path) -> NotebookNode:
    """Run a notebook from the top in a kernel of its own, with `folder` as its working directory.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised.
    """
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()


def tidied(notebook: NotebookNode, picture: Picture) -> NotebookNode:
    """Without Bokeh's own code, figures as pictures, nothing of this machine."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = list(_tidied(cell.outputs, picture))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _tidied(outputs: list[NotebookNode], picture: Picture) -> Iterator[NotebookNode]:
    element = ""
    for output in _joined(outputs):
        data = output.get("data", {})
        if LOAD in data:
            continue
        if EXEC in data:
            png = base64.b64encode(picture(element, data["application/javascript"])).decode()
            yield nbformat.v4.new_output("display_data", {"image/png": png, "text/plain": FIGURE})
        elif "data-root-id" in data.get("text/html", ""):
            element = data["text/html"]
        else:
            output.get("metadata", {}).clear()
            yield output


def _joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Pieces of one stream as one: how a stream is cut is chance."""
    last: NotebookNode | None = None
    for output in outputs:
        if last is not None and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
            continue
        last = output
        yield output


def stable(notebook: NotebookNode) -> list[Any]:
    """What every run shows alike: of each code cell its source and outputs, of those with timings only their kinds."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            of_output = _kinds if TIMINGS in cell.metadata.get("tags", ()) else _texts
            shown.append((cell.source, [of_output(output) for output in cell.outputs]))
    return shown


def _kinds(output: NotebookNode) -> Any:
    return sorted(output.get("data", {output.get("name"): ""}))


def _texts(output: NotebookNode) -> Any:
    texts = output.get("data", {"text": output.get("text")})
    return {kind: text for kind, text in texts.items() if kind != "image/png"}


@contextmanager
def photographer() -> Iterator[Picture]:
    """Takes pictures of figures with headless Chromium."""
    from bokeh.resources import INLINE
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    with TemporaryDirectory() as folder, open_browser() as browser:
        page = Path(folder) / "figure.html"

        def picture(element: str, script: str) -> bytes:
            page.write_text(
                f'<!DOCTYPE html><meta charset="utf-8">{INLINE.render()}<body>{element}<script>{script}</script></body>'
            )
            browser.set_window_size(1000, 800)
            browser.get(page.as_uri())
            drawn = "return Bokeh.documents.length > 0 && Bokeh.documents.every(document => document.is_idle)"
            WebDriverWait(browser, 20).until(lambda chromium: chromium.execute_script(drawn))
            png: bytes = browser.find_element(By.CSS_SELECTOR, "[data-root-id] > *").screenshot_as_png
            return png

        yield picture


def main() -> None:
    """Run all notebooks, or those named, and save them."""
    named = sys.argv[1:]
    with photographer() as picture:
        for path in NOTEBOOKS:
            if named and path.stem not in named:
                continue
            with TemporaryDirectory() as folder:
                notebook = tidied(execute(path, Path(folder)), picture)
            nbformat.write(notebook, path)
            print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
