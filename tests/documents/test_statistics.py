"""`docs/statistics.md` and `docs/luck.md` say the numbers, names and words that the code has."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
import pytest

from dask_validator.config import GATES_OF_ALL, RunConfig
from dask_validator.run import null_worlds
from dask_validator.universe.calibration import Setting, Strategies
from dask_validator.universe.worlds import Design
from dask_validator.views.monitor import calibrated
from dask_validator.wording import luck
from tests.documents.pages import ROOT, code, fenced, page, rows, section

STATISTICS, LUCK = page("docs/statistics.md"), page("docs/luck.md")
NUMBERS = {code(row["number"])[0]: float(row["value"]) for row in rows(STATISTICS, "number")}
NO_NUMBER_OF_A_RESULT = {"AT_ONCE", "NONE", "SQUARED"}  # how much is done at a time, how things are coded, a product


def _assigned(module: Any) -> dict[str, float]:
    """The numbers that a module gives a name in capitals, as `module.NAME`."""
    source = (ROOT / f"{module.__name__.replace('.', '/')}.py").read_text()
    lines = re.findall(r"^([A-Z_]+(?:, [A-Z_]+)*) = ", source, re.MULTILINE)
    names = {name for line in lines for name in line.split(", ")} - NO_NUMBER_OF_A_RESULT
    values = {f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name) for name in names}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def test_every_constant_of_the_statistics_is_stated() -> None:
    """Each number that a result depends on stands in the table under its name, with its value; and no other does."""
    files = (ROOT / "dask_validator" / "universe").glob("*.py")
    modules = [importlib.import_module(f"dask_validator.universe.{path.stem}") for path in files]
    of_code: dict[str, float] = {}
    for module in modules:
        of_code |= _assigned(module)
    apart = {name: value for name, value in _assigned(null_worlds).items() if name.endswith("_APART")}

    assert of_code | apart | {"luck.WIDE": luck.WIDE, "luck.TOGETHER": luck.TOGETHER} == NUMBERS


def test_numbers_named_in_the_text_are_in_the_table() -> None:
    """`worlds.LEAST_POOL` in a sentence leads to its value."""
    named = {name for name in code(STATISTICS) if re.fullmatch(r"[a-z_]+\.[A-Z_]+", name)}

    assert named - NUMBERS.keys() == set()


def test_keys_of_the_json_are_those_of_the_table() -> None:
    """Section 6.1 names every number of `--json`, and no other."""
    setting = Setting(RunConfig(), np.zeros((3, 20), dtype=np.int64), 0, 0, 0, 0, 0, upper_bound=False)
    stated = [name for row in rows(STATISTICS, "key") for name in code(row["key"])]

    assert set(stated) == set(setting.to_dict(Design(), "2025-12-31"))
    assert len(stated) == len(set(stated))


def test_columns_of_a_strategy_are_described() -> None:
    """Section 6.2 of the statistics, and the page for traders the ones that a run stores."""
    measured = set(Strategies._fields) - {"ids", "promoted"}
    explained = {code(row["column"])[0] for row in rows(LUCK, "column")}

    assert measured <= set(code(section(STATISTICS, "### 6.2 Of a strategy")))
    assert explained == measured - {"maxt_p"}


@pytest.mark.parametrize("text", [STATISTICS, LUCK], ids=["statistics", "luck"])
def test_gates_are_those_of_the_flag(text: str) -> None:
    """Each page has every gate in a row, in the order in which they are asked."""
    named = [code(row["gate"])[0].removeprefix("--gate ") for row in rows(text, "gate") if code(row["gate"])]

    assert named == list(GATES_OF_ALL)


def _numbers(pct: float, promoted: int, null_mean: float, low: int, high: int) -> dict[str, Any]:
    shares = {"false_share": null_mean, "false_share_low": low, "false_share_high": high}
    return {
        "settings": {"min_years_positive_pct": pct},
        "worlds": 1000,
        "block_days": 5.0,
        "strategies": 11_513,
        "not_calibrated": 609,
        "promoted": promoted,
        "null_mean": null_mean,
        "null_q05": low,
        "null_q95": high,
        "null_sd": (high - low) / 3.29,
        **{name: number / promoted for name, number in shares.items()},
        "promoted_not_calibrated": 18,
        "losing": 8_000,
        "upper_bound": False,
        "last_day": "2025-12-31",
    }


def test_output_on_the_page_is_worded_as_the_program_words_it() -> None:
    """What a reader of the page for traders sees is what the command prints of such numbers, to the last sentence."""
    [once, several] = fenced(LUCK, "console")

    assert calibrated.render("MGC", [_numbers(1.0, 654, 79.6, 49, 114)]) + "\n" in once
    table, _ = calibrated.render(
        "MGC",
        [
            _numbers(1.0, 610, 73.5, 44, 108),
            _numbers(0.9, 831, 138.7, 100, 182),
            _numbers(0.8, 1_058, 402.0, 328, 485),
            _numbers(0.7, 1_362, 849.3, 730, 977),
            _numbers(0.6, 1_581, 1_220.0, 1_071, 1_383),
        ],
    ).split("\n\n")
    assert table in several
