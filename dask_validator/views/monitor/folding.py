"""Long lines on a narrow terminal: folded between words, but for what is to be pasted and for tables."""

from __future__ import annotations

import re
import textwrap

from dask_validator.wording.harmless import plain

COLUMNS = 80
PASTED = re.compile(r"(?:dask-validator|ssh|python3?) -?\w.*")  # from there to the end
TABULAR = re.compile(r"\S {2,}\S")
GLUE = "\x1f"  # no text for a terminal has it


def folded(text: str, columns: int) -> str:
    """The text in lines of at most so many letters, as far as that can be; what follows is indented."""
    return "\n".join(_folded(line, columns) for line in text.split("\n"))


def _folded(line: str, columns: int) -> str:
    if len(line) <= columns or TABULAR.search(line):
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    glued = PASTED.sub(lambda match: match[0].replace(" ", GLUE), line)
    lines = textwrap.wrap(glued, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(GLUE, " ")


def wrapped(text: str, first: str = "", then: str = "  ") -> list[str]:
    """Lines of 80 columns at most but for longer words, whatever they are shown on; `first` and `then` begin them."""
    # What is not seen is spelled out before: wrapping takes some of it for blanks.
    return textwrap.wrap(
        plain(text),
        COLUMNS,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
