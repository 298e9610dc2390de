"""Rules in a file: what it may say, how slips are named, and that what is printed is what holds."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_validator import RunConfig, validate
from dask_validator.config.rules_file import as_toml, load_rules
from dask_validator.errors import InputError
from dask_validator.rules.gates import POSITION
from dask_validator.run.instruments import costs_of
from tests.conftest import Command
from tests.recorded import SHARED
from tests.support.tiny import tiny_database

RULES = """\
min_sample = 40
regime_waivers = false
gates = ["fdr"]
wf_first_day = 2020-01-01

[instrument.MNQ]
min_sample = 60

[instrument.MNQ.promotion]
run_log = "log"

[promotion]
noise_floor = 0.0

[costs.MGC]
point_value = 10.0
commission_rt = 1.74
spread_doubled = 2.0
slippage = 2.0
tick_size = 0.1
min_ticks_floor = 10
"""
SLIPS = {
    "unknown key": ("min_sampel = 3", 1, "min_sampel is no rule; did you mean min_sample?"),
    "like no key": ("colour = 3", 1, "colour is no rule; known: "),
    "flag's own spelling": ('\ngate = ["fdr"]', 2, "gate is no rule"),
    "wrong type": ("# rules\n\nmin_sample = 1.5", 3, "min_sample = 1.5; needed a whole number"),
    "not a date": ('wf_first_day = "soon"', 1, "wf_first_day = 'soon'; needed a date"),
    "a time is no date": ("wf_first_day = 2020-01-01T00:00:00", 1, "needed a date"),
    "no such choice": ('unknown_filters = "some"', 1, "needed one of all, none, fail"),
    "negation of a number": ("regime_waivers = 1", 1, "needed true or false"),
    "of one symbol": ("[instrument.MGC]\nmin_sample = true", 2, "instrument.MGC.min_sample = True"),
    "of another symbol": ("[instrument.MES]\n\nmin_sampel = 3", 3, "instrument.MES.min_sampel is no rule"),
    "unknown key of promotion": ('[promotion]\ncolour = "red"', 1, "has colour"),
    "years that fall": ("era_starts = [2020, 2015]", 1, "two years or more, ascending"),
    "half a condition": ('gates_only = { not_null = "x" }', 1, "created_after"),
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file that says a little of everything."""
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


def test_a_key_is_the_flag_with_underscores(rules: Path) -> None:
    """What the file says holds, for a symbol what its own table says; tables of both are merged."""
    ours, theirs = load_rules(rules, "MGC"), load_rules(rules, "MNQ")

    assert (ours.min_sample, theirs.min_sample) == (40, 60)
    assert (ours.no_regime_waivers, ours.gate, ours.wf_first_day) == (True, ("fdr",), date(2020, 1, 1))
    assert (ours.promotion.run_log, theirs.promotion.run_log) == (None, "log")
    assert ours.promotion.noise_floor == theirs.promotion.noise_floor == 0.0


def test_flags_win_over_the_file(rules: Path, called: Command, tmp_path: Path) -> None:
    """On the command line and in Python; a flag that nobody gave does not."""
    printed = called("rules", "--rules", rules, "--min-sample", "7").stdout
    database = tiny_database(tmp_path / "tiny.duckdb", [{"sample_size": 30}])
    plain = tmp_path / "plain.toml"
    plain.write_text("min_sample = 40\n")

    assert "min_sample = 7\n" in printed
    assert "regime_waivers = false\n" in printed
    rejected = validate(database, rules=plain, dry_run=True, workers=1, progress=False)
    passed = validate(database, rules=plain, min_sample=30, dry_run=True, workers=1, progress=False)
    assert (rejected.summary["rejected_by_phase"]["1"], passed.summary["rejected_by_phase"]["1"]) == (1, 0)


@pytest.mark.parametrize(("text", "line", "said"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_named_by_its_line(
    text: str, line: int, said: str, called: Command, tmp_path: Path, small: Path
) -> None:
    """Exit code 2, one line: file, line, key, what was needed; the database is as it was."""
    path, before = tmp_path / "slip.toml", small.read_bytes()
    path.write_text(text + "\n")
    ran = called("run", "--db", small, "--rules", path)

    assert ran.code == 2
    assert f"{path}, line {line}: " in ran.stderr
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert small.read_bytes() == before


@pytest.mark.parametrize(("rules", "said"), [("nosuch", "no profile"), ("no/such.toml", "cannot be read")])
def test_rules_that_are_not_there(rules: str, said: str, called: Command) -> None:
    """Neither a file nor a profile: one line."""
    ran = called("rules", "--rules", rules)

    assert (ran.code, said in ran.stderr) == (2, True)


def test_costs_of_the_rules_hold(rules: Path, tmp_path: Path) -> None:
    """Phase 4 goes by the file's costs; a file of costs on the command line wins over them."""
    database = tiny_database(tmp_path / "tiny.duckdb", [{"expectancy_r": 0.05}])
    costs = tmp_path / "costs.toml"
    costs.write_text(RULES[RULES.index("point_value") :].join(["[MGC]\n", ""]).replace("1.74", "174.0"))
    settings = {"rules": rules, "min_sample": 1, "gate": ["none"], "dry_run": True, "workers": 1, "progress": False}
    stressed = [validate(database, **settings, **more) for more in ({}, {"instruments": costs})]

    place = POSITION["stressed_expectancy_r"]
    assert stressed[0].verdicts.observed[0, place] > stressed[1].verdicts.observed[0, place]
    assert stressed[1].summary["rejected_by_phase"]["4"] == 1


@pytest.mark.parametrize("symbol", ["MGC", "MNQ"])
def test_printed_rules_give_the_same_rules(rules: Path, symbol: str, called: Command, tmp_path: Path) -> None:
    """What `dask-validator rules` prints can be given back, and prints the same."""
    printed = called("rules", "--rules", rules, "--instrument", symbol, "--fdr-group-by", "orb_label").stdout
    again = tmp_path / "again.toml"
    again.write_text(printed)

    assert called("rules", "--rules", again, "--instrument", symbol).stdout == printed
    assert load_rules(again, symbol) == load_rules(rules, symbol, fdr_group_by=("orb_label",))


def test_the_profile_says_what_was_recorded() -> None:
    """By its name it gives the rules of the recorded answers of 2026-06, with costs of more symbols."""
    recorded = SHARED / "golden-2026-06" / "user-2026-06.toml"
    if not recorded.exists():
        pytest.skip("the recorded answers golden-2026-06 are not beside the repository")
    for symbol in ("MGC", "MNQ", "MES"):
        ours, theirs = load_rules("opening-range-2026-06", symbol), load_rules(recorded, symbol)
        assert ours.costs.items() >= theirs.costs.items()
        assert replace(ours, costs={}, touch_entry_models=()) == replace(theirs, costs={})


def test_a_profile_has_costs_of_its_own() -> None:
    """A symbol that nobody else knows has costs with it; those of 2026-02 stay what they were without."""
    costs = load_rules("opening-range-2026-06", "MBT").costs

    assert costs_of("MBT", None, costs).friction == 6.5
    assert (costs_of("MGC", None, costs).friction, costs_of("MGC").friction) == (5.74, 8.4)
    with pytest.raises(InputError, match="unknown instrument 'MBT'"):
        costs_of("MBT")


NAMES = st.text(min_size=1, max_size=8)
CONFIGS = st.builds(
    RunConfig,
    min_sample=st.integers(0, 99),
    exclude_years=st.lists(st.integers(1990, 2030), max_size=3),
    wf_first_day=st.none() | st.dates(date(1990, 1, 1), date(2030, 1, 1)),
    min_sharpe=st.none() | st.floats(-1, 1),
    fdr_group_by=st.lists(NAMES, max_size=2).map(tuple),
    seasons=st.dictionaries(NAMES, NAMES, max_size=2),
    promotion=st.fixed_dictionaries({}, optional={"constants": st.dictionaries(NAMES, NAMES | st.booleans())}),
    filter=st.lists(st.fixed_dictionaries({"when": NAMES, "fields": st.dictionaries(NAMES, NAMES)}), max_size=2),
)


@given(CONFIGS)
def test_any_rules_survive_being_printed(config: RunConfig) -> None:
    """Whatever names and texts there are, quotes and backslashes too, the file says the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "dask_validator.config.rules_file.read_toml", lambda path, flag: (tomllib.loads(as_toml(config)), "")
        )
        assert load_rules(__file__, "MGC") == config


def test_two_ways_to_say_what_unknown_filters_are() -> None:
    """`--strict-filters` together with `unknown_filters` is refused: which one holds would be a guess."""
    with pytest.raises(InputError, match="--unknown-filters got 'none'; needed --strict-filters or this one"):
        RunConfig(strict_filters=True, unknown_filters="none")


def test_a_mode_may_be_called_anything(tmp_path: Path) -> None:
    """A mode named `named` is a mode like others, beside them and alone, and survives being printed."""
    path = tmp_path / "modes.toml"
    text = '[promotion.modes]\ncolumn = "m"\ndefault = "S"\n[promotion.modes.named]\nstatus = "r"\n'
    for more in ("", '[promotion.modes.other]\nstatus = "q"\n'):
        path.write_text(text + more)
        config = load_rules(path, "MGC")
        modes = config.promotion.modes
        path.write_text(as_toml(config))

        assert modes is not None
        assert modes.named == {"named": {"status": "r"}, **({"other": {"status": "q"}} if more else {})}
        assert load_rules(path, "MGC") == config


def test_small_samples_are_small_only_where_rules_say_how_small() -> None:
    """An unknown number of trades counts as none; without `small_sample` no strategy is small."""
    given = {"small_wf_min_trades": 5}

    assert [RunConfig(small_sample=100, **given).is_small(n) for n in (None, float("nan"), 99, 100)] == [True] * 3 + [
        False
    ]
    assert not any(RunConfig(**given).is_small(n) for n in (None, float("nan"), 0, -1))
