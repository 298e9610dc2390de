"""The page of trade formats names the tools and columns that are read."""

from __future__ import annotations

from dask_validator.trade_files import bad_rows
from dask_validator.trade_files.declaration import KINDS, NATIVE, formats
from tests.documents.pages import code, page, rows

PAGE = page("docs/trade-formats.md")


def test_every_tool_has_its_row() -> None:
    """The table lists the tools that have a declaration, by the names that `--format` takes."""
    assert {row["tool"] for row in rows(PAGE, "tool")} == set(formats())


def test_every_column_of_ours_is_explained() -> None:
    """What a user can rename a column to is on the page."""
    named = {name for line in PAGE.splitlines() if line.startswith("| `") for name in code(line)}
    ours = {name for kind in KINDS for name in formats()[NATIVE].columns[kind]}

    assert ours <= named


def test_the_limit_is_that_of_the_code() -> None:
    """How many bad rows a strategy may have."""
    assert f"more than {100 * bad_rows.MOST_UNUSABLE:.0f} % cannot be used" in PAGE
