"""The colours of all screens, by what they mean: report, live page, figures and tables of a notebook.

The hues are of Okabe, M. and Ito, K. (2008), Color Universal Design, which people with any colour vision tell apart;
they are darker on a light ground and lighter on a dark one, so that words can have them too.
"""

from __future__ import annotations

from typing import NamedTuple


class Palette(NamedTuple):
    """One scheme; what is read stands out from `card` by 4.5 to 1, what is only drawn by 3 to 1."""

    page: str  # the ground
    card: str  # what lies on it
    text: str
    soft: str  # text that is not the matter
    edge: str
    grid: str
    hover: str
    focus: str
    passed: str  # strategies, and whatever was measured
    rejected: str
    second: str  # drawn beside what matters: ideals, alternatives, windows that do not count
    good: str  # a run that ended well
    bad: str  # FAILED, and a run that did not
    mark: str  # thresholds


LIGHT = Palette(
    page="#f6f7f9",
    card="#ffffff",
    text="#1b2430",
    soft="#56606e",
    edge="#d5dae1",
    grid="#e6e9ee",
    hover="#eef3f8",
    focus="#0b63c7",
    passed="#0072b2",
    rejected="#b34c06",
    second="#6c7685",
    good="#0b7a56",
    bad="#b3261e",
    mark="#9a1f60",
)
DARK = Palette(
    page="#12161c",
    card="#1a2029",
    text="#e6eaf0",
    soft="#a3adba",
    edge="#333c49",
    grid="#29313c",
    hover="#222b37",
    focus="#7db9ff",
    passed="#56b4e9",
    rejected="#f0a04b",
    second="#8792a0",
    good="#4cc79a",
    bad="#ff8a80",
    mark="#ee8fc0",
)


def variables(palette: Palette) -> str:
    """As custom properties of CSS: `var(--passed)`."""
    return " ".join(f"--{name}: {colour};" for name, colour in palette._asdict().items())
