"""The project's documents, and the few things of Markdown that their tests read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _of_notebook(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def documents() -> dict[str, str]:
    """The text of every document by its path below the project, notebooks' cells included."""
    pages = [path for folder in ("", "docs", "benchmarks", "notebooks") for path in (ROOT / folder).glob("*.md")]
    texts = {path: path.read_text() for path in pages}
    texts |= {path: _of_notebook(path) for path in (ROOT / "notebooks").glob("*.ipynb")}
    return {str(path.relative_to(ROOT)): text for path, text in sorted(texts.items())}


def page(name: str) -> str:
    """The text of one document."""
    return (ROOT / name).read_text()


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return _FENCED.sub("", text)


def fenced(text: str, language: str = "") -> list[str]:
    """The blocks of code, of one language if named, without the indent of a list they stand in."""
    return [dedent(body) for _, of, body in _FENCED.findall(text) if language in ("", of)]


def section(text: str, heading: str) -> str:
    """What stands below a heading, down to the next one of its level or a higher one."""
    level = re.match("#+", heading)
    assert level
    body = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level[0])}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, column: str) -> list[dict[str, str]]:
    """The rows of every table that has such a column, each by the names of its columns."""
    blocks = re.findall(r"(?:^\|.*\n?)+", prose(text), re.MULTILINE)
    return [row for block in blocks for row in _rows([_cells(line) for line in block.splitlines()]) if column in row]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _rows(lines: list[list[str]]) -> list[dict[str, str]]:
    names, _, *rows = lines
    return [dict(zip(names, row, strict=True)) for row in rows]


def code(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", text)
