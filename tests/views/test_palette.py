"""One palette for all screens: readable in both schemes, and stated nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dask_validator
from dask_validator.views.palette import DARK, LIGHT, Palette

PACKAGE = Path(dask_validator.__file__).parent
READ = ("text", "soft", "focus", "passed", "rejected", "good", "bad", "mark")
COLOUR = re.compile(
    r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(|(?:color|background|fill|stroke)\"?\s*[:=]\s*\"?(?:white|black|gr[ae]y)"
)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, 0 to 1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 (equal) to 21 (black on white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_words_can_be_read(palette: Palette) -> None:
    """Whatever colour a word has, on a card, the page or a row under the pointer, it has the contrast of WCAG AA."""
    grounds = palette.card, palette.page, palette.hover
    faint = {(name, ground): contrast(getattr(palette, name), ground) for name in READ for ground in grounds}

    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}
    assert contrast(palette.second, palette.card) >= 4.5  # numbers stand inside its bars


def test_no_other_place_names_a_colour() -> None:
    """A colour means the same on every screen because it is written once."""
    sources = [path for kind in ("py", "css", "js", "j2") for path in PACKAGE.rglob(f"*.{kind}")]
    named = {path.name: COLOUR.findall(path.read_text()) for path in sources if path.name != "palette.py"}

    assert {name: colours for name, colours in named.items() if colours} == {}
