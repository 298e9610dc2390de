"""The glossary says what the report says, where a reader meets the words first."""

from __future__ import annotations

import pytest

from dask_validator.demo.backtest import strategy_id
from dask_validator.demo.menu import Variant
from dask_validator.demo.outcomes import Key
from dask_validator.rules import seasons
from dask_validator.views.report.words import SEASONS, WORDS
from tests.documents.pages import code, page, rows

GLOSSARY = page("docs/glossary.md")


def test_words_are_those_of_the_report() -> None:
    """Word for word, in the same order; the season verdicts too, which are the rules' own."""
    assert {row["word"]: row["means"] for row in rows(GLOSSARY, "word")} == WORDS
    assert {code(row["season verdict"])[0]: row["means"] for row in rows(GLOSSARY, "season verdict")} == SEASONS
    of_rules = {code(row["verdict"])[0] for row in rows(page("docs/rules.md"), "verdict")}
    assert set(SEASONS) == of_rules


@pytest.mark.parametrize(
    "name", ["README.md", "docs/report.md", "docs/rules.md", "docs/data-contract.md", "docs/dashboard.md"]
)
def test_documents_lead_to_the_glossary(name: str) -> None:
    """Whoever does not know what an alias is finds it from where the word stands."""
    assert "glossary.md" in page(name)


def test_numbers_in_the_words_are_those_of_the_rules() -> None:
    """Thresholds that the glossary names in passing."""
    assert f"at most {seasons.STABLE_WITHIN_R:.2f} R" in SEASONS["STABLE"]
    assert f"{seasons.STABLE_N} trades" in SEASONS["STABLE"]
    assert f"fewer than {seasons.MIN_N} trades" in SEASONS["LOW-N"]


def test_the_parts_of_an_id_are_in_the_order_of_the_table() -> None:
    """The example of each part, joined, is the id that the demonstration makes of them."""
    parts = [code(row["example"])[0] for row in rows(GLOSSARY, "part")]
    made = strategy_id("MGC", Key("0900", 15, 1.5, 1, "E0"), Variant("ORB_G4_FAST10", "W"))

    assert "_".join(parts) == made
    assert f"`{made}` is read" in GLOSSARY
