"""What is said about numbers is true: sentences that claimed too much do not come back."""

from __future__ import annotations

import click
import pytest

from dask_validator.cli.commands import cli
from dask_validator.wording.sentences import SAME_TRADES
from tests.documents.pages import ROOT, documents, page

SHOWN = documents() | {
    **{str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "dask_validator").rglob("*.j2")},
    **{str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "dask_validator").rglob("*.py")},
    **{
        f"{name} --help": command.get_help(click.Context(command))
        for name, command in [*cli.commands.items(), ("", cli)]
    },
}
# The windows hold trades that the strategies were chosen by; two-sided counts have losers in; a count is no rate.
CLAIMS = [
    *("hold out of sample", "earn out of sample", "best out of sample", "R in sample", "R out of sample"),
    *("out-of-sample expectancy", "out-of-sample trades", "in sample and out of sample", "validate out of sample"),
    *("False discovery rate: ", "tested strategies are significant", "was not chosen on", "rightly not promoted"),
    *("is there half of the year", "bound the share of false discoveries", "has two independent reasons"),
    "is to be expected among so many tries",
]


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_screen_claims_too_much(claim: str) -> None:
    """Documents, notebooks, report, terminal and help."""
    assert [name for name, text in SHOWN.items() if _plain(claim) in _plain(text)] == []


def test_what_a_pass_is_worth_is_said_in_the_readme() -> None:
    """In the words of the report, before anything else is promised."""
    above, below = page("README.md").split("## Two commands", 1)

    assert _plain(SAME_TRADES) in _plain(above)
    assert below
