"""Where the code cites a document, the document has that place."""

from __future__ import annotations

import re

import pytest

from tests.documents.pages import ROOT, documents, page

CITED = re.compile(r"([\w-]+\.md|\b[Rr]ules), sections? ((?:\d+(?:, | and )?)+)")
SOURCES = [path for folder in ("dask_validator", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in SOURCES}


def _citations(texts: dict[str, str]) -> list[tuple[str, str, str]]:
    """Who cites, which document, which section."""
    found = [(name, *match.groups()) for name, text in texts.items() for match in CITED.finditer(text)]
    return [(name, document, number) for name, document, numbers in found for number in re.findall(r"\d+", numbers)]


def _has(document: str, number: str) -> bool:
    path = ROOT / "docs" / document
    return path.is_file() and re.search(rf"^## {number}\. ", path.read_text(), re.MULTILINE) is not None


def test_every_section_cited_by_the_code_is_there() -> None:
    """`rules.md, section 3` in a docstring leads to the heading `## 3. ...` of `docs/rules.md`."""
    cited = _citations(TEXTS)

    assert cited
    assert [place for place in cited if not _has(*place[1:])] == [], "cite as `rules.md, section N` of docs/"


def test_every_section_cited_by_a_document_is_there() -> None:
    """The same within the documents, which say it shorter."""
    cited = _citations(documents())

    assert cited
    assert [place for place in cited if not _has(place[1].removesuffix(".md").lower() + ".md", place[2])] == []


@pytest.mark.parametrize("number", re.findall(r"^## (\d+)\. ", page("docs/rules.md"), re.MULTILINE))
def test_every_section_of_the_rules_is_cited(number: str) -> None:
    """No section of the rules is without the code that applies it."""
    assert [name for name, *place in _citations(TEXTS) if place == ["rules.md", number] and name.startswith("dask_")]
