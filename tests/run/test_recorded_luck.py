"""The recorded answers of the null worlds, equal to the last digit, through the public way in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from distributed import Client
from numpy.typing import NDArray

from dask_validator import CalibrationResult, calibrate
from dask_validator.journal.blocks import Blocks
from dask_validator.run import null_worlds
from dask_validator.universe.calibration import Setting
from dask_validator.work import plan
from tests.recorded import SHARED, SMALL, build_database
from tests.support.calibrations import five_keys, told
from tests.test_golden import CONFIGS

GOLDEN = SHARED / "golden-luck"
OPTIONS = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "set_as_default": False}
DRAWN = {"worlds": 1000, "block_days": 5.0, "null_seed": 7}
SHARES = {1.0: None, 0.6: "loose60", 0.5: "loose50"}  # of positive years that were recorded


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two worker processes, made once."""
    with Client(n_workers=2, host="127.0.0.1", **OPTIONS) as client:
        yield client


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The database of a recorded input, made once and never written."""

    @cache
    def build(name: str) -> Path:
        if not (GOLDEN / name).exists():
            pytest.skip(f"the recorded inputs {GOLDEN.name}/{name} are not beside the repository")
        path = tmp_path_factory.mktemp(name) / f"{name}.duckdb"
        build_database(GOLDEN / name, path)
        return path

    return build


class Kept(NamedTuple):
    """What blocks of strategies say of their worlds, added up."""

    lucky: NDArray[np.int64]  # worlds that promote each strategy, by setting
    maxima: NDArray[np.float32]  # of all deviates, by world


class Blocked(list[Mapping[str, Any]]):
    """The blocks of a calibration."""

    def added(self) -> Kept:
        """In order of the strategies."""
        lucky = np.concatenate([block["lucky"] for block in self], axis=1)
        positions = np.concatenate([block["positions"] for block in self])
        return Kept(lucky[:, np.argsort(positions)], np.max([block["maxima"][0] for block in self], axis=0))


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Blocked:
    """All that goes into the journal."""
    found, keep = Blocked(), Blocks.done

    def done(self: Blocks, block: Mapping[str, NDArray[Any]]) -> None:
        found.append(block)
        keep(self, block)

    monkeypatch.setattr(Blocks, "done", done)
    return found


def check_setting(setting: Setting, recorded: Mapping[str, Any]) -> None:
    """Promotions under one setting are those recorded."""
    found = setting.numbers
    assert found.promoted == recorded["promoted"]
    assert round(found.p_value, 6) == recorded["p_count"]
    assert round(found.false_share, 4) == recorded["false_share"]
    for counts, null in zip(setting.counts, "ucl", strict=True):
        wanted = recorded[f"null_{null}"]
        assert counts[:10].tolist() == wanted["first10"]
        assert counts.mean() == wanted["mean"]
        assert np.quantile(counts, [0.05, 0.5, 0.95]).tolist() == [wanted["q05"], wanted["q50"], wanted["q95"]]


def check_strategies(found: CalibrationResult, recorded: Mapping[str, Any]) -> None:
    """So is the evidence for each strategy, under the first setting."""
    strategies = found.strategies
    strongest = np.argsort(-np.nan_to_num(strategies.z))[:5]
    assert {strategies.ids[i]: round(float(strategies.stepm_p[i]), 6) for i in strongest} == recorded["stepm"]["first5"]
    assert (strategies.stepm_p <= 0.05).sum() == recorded["stepm"]["rejected"]
    assert {null: round(p, 6) for null, p in found.spa.items()} == recorded["spa"]
    of_default = recorded["flags"]["default"]
    for name, share in (("luck_q_05", 0.05), ("luck_bound_10", 0.10), ("luck_bound_05", 0.05)):
        assert (getattr(strategies, name[:-3]) <= share).sum() == of_default[name]
    weakest = int(np.where(strategies.promoted, strategies.z, np.inf).argmin())
    assert round(float(strategies.z[weakest]), 4) == of_default["weakest"]["z"]
    for name in ("luck_q", "luck_bound"):
        assert round(float(getattr(strategies, name)[weakest]), 6) == of_default["weakest"][name]


def luckiest(lucky: NDArray[np.int64], ids: Sequence[str], most: int) -> dict[str, int]:
    """The strategies that most worlds promote."""
    return {ids[i]: int(lucky[i]) for i in np.argsort(-lucky, kind="stable")[:most]}


def recorded_as(setting: Setting) -> str | None:
    """The name of a setting; where losing years are waived no share of positive years is asked for."""
    config = setting.config
    return SHARES[config.min_years_positive_pct] if config.no_regime_waivers else "default"


@pytest.mark.parametrize(("name", "workers", "shares"), [("noise", 2, [0.6, 0.5]), ("edges", 1, [1.0, 0.6, 0.5])])
def test_recorded_answers(
    name: str,
    workers: int,
    shares: list[float],
    built: Callable[[str], Path],
    blocked: Blocked,
    request: pytest.FixtureRequest,
) -> None:
    """Counts of every world, quantiles, luck, step-down, the best: three settings and three nulls of one call."""
    database, recorded = built(name), json.loads((GOLDEN / name / "answers.json").read_text())
    before = database.read_bytes()
    where = {"workers": 1} if workers == 1 else {"client": request.getfixturevalue("client")}
    several = {"min_years_positive_pct": shares, "no_regime_waivers": [False, True]}
    found = calibrate(database, "MGC", progress=False, **where, **several, **DRAWN)

    kept = blocked.added()
    assert len(found.strategies.ids) == recorded["calibrated"]
    assert len(found.not_calibrated) == recorded["not_calibrated"]
    assert (~np.isnan(found.strategies.z)).sum() == recorded["tested"]
    settings = {recorded_as(setting): (setting, kept.lucky[i]) for i, setting in enumerate(found.settings)}
    for flags, wanted in recorded["flags"].items():
        setting, lucky = settings[flags]
        check_setting(setting, wanted)
        assert luckiest(lucky, found.strategies.ids, len(wanted["luckiest"])) == wanted["luckiest"]
    check_strategies(found, recorded)
    assert round(float(np.quantile(kept.maxima, 0.95)), 5) == round(recorded["stepm"]["critical"], 5)  # of float32
    digest = hashlib.sha256(settings["default"][0].counts[0].astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == recorded["digest_N_default_u"]
    assert database.read_bytes() == before


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers(
    workers: int, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two processes and on five workers: every count and every number of every strategy, to the last byte."""
    database = five_keys(tmp_path / "keys.duckdb")
    flags = {"worlds": 40, "min_sample": 50, "no_walkforward": True, "min_sharpe": [None, 0.02]}
    serial = calibrate(database, "MGC", workers=1, progress=False, **flags)
    monkeypatch.setattr(plan, "OUTCOMES_PER_TASK", (1, 1))
    with ExitStack() as opened:
        if workers == 2:
            client = request.getfixturevalue("client")
        else:
            client = opened.enter_context(Client(n_workers=workers, processes=False, **OPTIONS))
        found = calibrate(database, "MGC", client=client, progress=False, **flags)

    assert told(found) == told(serial)


@pytest.mark.parametrize("name", CONFIGS)
def test_gates_of_the_worlds_say_what_the_run_says(
    name: str, small_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under each recorded setting they disagree about planted rows alone, whose years do not follow from any trades."""
    planted = {strategy_id for _, strategy_id in json.loads((SMALL / "awkward.json").read_text())}
    monkeypatch.setattr(null_worlds, "MOST_APART", len(planted))
    found = calibrate(small_source, "MGC", replace(CONFIGS[name], worlds=20), workers=1, progress=False)
    [setting] = found.settings

    apart = {strategy_id for strategy_id, why in found.not_calibrated.items() if why == null_worlds.APART}
    assert apart <= planted
    assert setting.promoted > 25
    assert setting.strategies > 400
