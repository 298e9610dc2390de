"""From a universe of strategies to its calibration: who is calibrated, the worlds, and what they come to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dask_validator.errors import InputError, NothingToCalibrate
from dask_validator.events import Asking, Said, TaskDone
from dask_validator.journal.blocks import POSITIONS, Arrays, Shape
from dask_validator.journal.provenance import source_of_the_worlds, versions
from dask_validator.model import EPOCH, OutcomeKey, Status
from dask_validator.rules.costs import Costs, Friction
from dask_validator.rules.gates import GATES, POSITION, Terms
from dask_validator.rules.screening import friction_of
from dask_validator.rules.verdicts import Verdicts
from dask_validator.run.all_strategies import Calibrating, Universe, refuse_incomplete, where
from dask_validator.universe import luck
from dask_validator.universe.calendars import Observed
from dask_validator.universe.calibration import Calibration, Setting, Strategies, flags_of
from dask_validator.universe.companions import Companions, companions
from dask_validator.universe.evidence import NULLS, Evidence, Rows, evidence, follow, passing_in_data, stitched
from dask_validator.universe.gates import UPPER_BOUND, Circumstances, dormant_years
from dask_validator.wording.luck import MOST_NAMED
from dask_validator.wording.sentences import listed
from dask_validator.work.piece import Group
from dask_validator.work.worlds import Block, Entrant, Simulating, Terrain

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_APART, SHARE_APART = 5, 0.01  # strategies about which run and worlds may disagree
NOT_STORED = "its stored numbers do not follow from its outcomes and filter"
APART = "the gates of the worlds do not say of its data what the run says"


class Calibrated(NamedTuple):
    """The strategies that are put into worlds, in order of strategy_id."""

    observed: Observed
    rows: Rows
    passed: NDArray[np.bool_]  # phases 1 to 6 in the data, by setting, shape (n_settings, n_strategies)
    left_out: Mapping[str, str]  # by strategy_id, why
    places: NDArray[np.int64]  # among all that are observed, shape (n_strategies,)


def put_into_worlds(run: Calibrating, universe: Universe) -> Calibration:
    """The strategies whose numbers can be trusted, in all worlds. Raises InputError, Incomplete."""
    calibrated = _calibrated(run, universe)
    settings = [of_setting.terms for of_setting in universe.seen.candidates]
    of_data = evidence(calibrated.observed, settings[0].config.min_sample)
    if run.order.counts_only:
        of_data = of_data._replace(candidates=np.zeros_like(of_data.candidates))
    blocks = _simulated(run, universe, calibrated, of_data, tuple(settings))
    lost = {calibrated.observed.ids[i]: b.lost for b in blocks if b.lost for i in b.positions.tolist()}
    blocks = [block for block in blocks if not block.lost]
    in_worlds = np.sort(np.concatenate([np.empty(0, dtype=np.int32), *(block.positions for block in blocks)]))
    return _summed(run, universe, calibrated, of_data, _Combined.of(blocks, in_worlds), lost)


def _calibrated(run: Calibrating, universe: Universe) -> Calibrated:
    """Run and worlds must say the same of all of them."""
    observed, rows = universe.observed, _rows(universe, run.order.costs)
    failed = _with_status(universe, Status.FAILED).any(axis=0)
    kept = np.flatnonzero(follow(observed, rows) & ~failed)
    left_out = dict.fromkeys(set(universe.seen.strategies) - {observed.ids[i] for i in kept.tolist()}, NOT_STORED)
    left_out |= universe.errors
    failures = {name: reason for verdicts in universe.verdicts for name, reason in verdicts.failures()}
    named_failures = (observed.ids[i] for i in np.flatnonzero(failed).tolist())
    left_out |= {name: f"FAILED: {failures[name]}" for name in named_failures}
    observed, rows = observed.of(kept), rows.of(kept)
    passed = _with_status(universe, Status.PASSED)[:, kept]
    settings = [of_setting.terms for of_setting in universe.seen.candidates]
    beside = circumstances(run, universe, rows)
    apart = (passing_in_data(observed, rows, settings, beside) != passed).any(axis=0)
    named = [observed.ids[i] for i in np.flatnonzero(apart).tolist()]
    _refuse_apart(named, len(kept))
    left_out |= dict.fromkeys(named, APART)
    same = np.flatnonzero(~apart)
    return Calibrated(observed.of(same), rows.of(same), passed[:, same], left_out, kept[same])


def _refuse_apart(named: Sequence[str], count: int) -> None:
    most = max(MOST_APART, int(SHARE_APART * count))
    if len(named) > most:
        raise InputError(
            f"the gates of the worlds disagree with the run about {len(named):,} of {count:,} strategies, "
            f"needed at most {most:,}; the first are {listed(named, MOST_NAMED)}"
        )


def _rows(universe: Universe, costs: Costs) -> Rows:
    rows = [universe.seen.strategies[strategy_id] for strategy_id in universe.observed.ids]
    friction = friction_of(rows, costs)
    own = [name for name in Rows._fields if name not in Friction._fields]
    columns = {name: np.array([getattr(row, name) for row in rows], dtype=np.float64) for name in own}
    return Rows(**columns, **friction._asdict())


def _with_status(universe: Universe, status: Status) -> NDArray[np.bool_]:
    """By setting, whether a run gives it to each strategy that is observed."""
    found = []
    for verdicts in universe.verdicts:
        ids = _ids_with(verdicts, status)
        found.append([strategy_id in ids for strategy_id in universe.observed.ids])
    return np.array(found, dtype=np.bool_).reshape(len(found), len(universe.observed.ids))


def _ids_with(verdicts: Verdicts, status: Status) -> set[str]:
    return {verdicts.ids[i] for i in verdicts.of(status)}


def circumstances(run: Calibrating, universe: Universe, rows: Rows) -> Circumstances:
    """What the gates need beside sums."""
    return Circumstances(run.order.costs, rows.friction, dormant_years(universe.seen.facts.atr_by_year))


def _simulated(
    run: Calibrating, universe: Universe, of: Calibrated, of_data: Evidence, settings: tuple[Terms, ...]
) -> list[Block]:
    """Blocks that cover every strategy once; those of an earlier calibration hold."""
    beside = circumstances(run, universe, of.rows)
    known = of_data.z[of.passed[0] & ~np.isnan(of_data.z)]
    terrain = Terrain(
        run.order.design,
        universe.seen.days,
        run.order.config.window_rules,
        settings,
        run.order.costs,
        beside.dormant,
        None if run.order.counts_only else float(known.min(initial=np.inf)),
    )
    entrants = list(_entrants(universe, of, of_data, beside))
    shapes = _shapes(len(settings), run.order.design.worlds)
    left = run.blocks.begin(_inputs(universe, terrain, entrants), shapes)
    if run.blocks.reason is not None:
        run.listener(Said(f"{run.blocks.reason}: if this is interrupted, nothing can be taken over", warning=True))
    blocks = list(_disjoint(left.blocks, len(entrants)))
    done = {position for block in blocks for position in block.positions.tolist()}
    if blocks:
        run.listener(Said(f"Took over {len(done):,} strategies in all worlds from an earlier calibration"))
    groups = _groups(universe, (of for of in entrants if of.position not in done | left.opened))
    suspects = _groups(universe, (of for of in entrants if of.position in left.opened - done))
    run.listener(Asking(f"In {run.order.design.worlds:,} worlds", len(entrants) - len(done)))
    work = Simulating(where(run, universe.seen, groups + suspects), terrain)

    def opens(asked: Sequence[Entrant]) -> None:
        run.blocks.opens([entrant.position for entrant in asked])

    for block in run.computer.results(work, groups, suspects, opens):
        if block.lost is None:
            run.blocks.done({name: getattr(block, name) for name in shapes})
        blocks.append(block)
        run.listener(TaskDone(block.positions.size, timing=block.timing))
    refuse_incomplete(run)
    return blocks


def _groups(universe: Universe, entrants: Iterable[Entrant]) -> list[Group]:
    by_key: dict[OutcomeKey, list[Entrant]] = {}
    for entrant in entrants:
        by_key.setdefault(universe.seen.strategies[entrant.strategy_id].outcome_key, []).append(entrant)
    return [Group(key, tuple(of_key)) for key, of_key in by_key.items()]


def _entrants(universe: Universe, of: Calibrated, of_data: Evidence, beside: Circumstances) -> Iterator[Entrant]:
    for position, strategy_id in enumerate(of.observed.ids):
        yield Entrant(
            strategy_id,
            universe.filter_of(strategy_id),
            universe.rows[strategy_id],
            position,
            float(beside.friction.risk_dollars[position]),
            float(beside.friction.mean_cost[position]),
            tuple(of_data.mus[:, position].tolist()),
            tuple(of_data.shifts[:, position].tolist()),
            bool(of_data.candidates[position]),
        )


def _inputs(universe: Universe, terrain: Terrain, entrants: Sequence[Entrant]) -> str:
    """A digest of all that blocks depend on."""
    digest = hashlib.sha256()
    for part in (
        source_of_the_worlds(),
        json.dumps([versions(), universe.seen.survey.fingerprints], sort_keys=True),
        repr([terrain.design, terrain.rules, terrain.costs, sorted(terrain.dormant), terrain.floor]),
        repr([(flags_of(terms.config), terms.waives, terms.config.filter) for terms in terrain.settings]),
        repr(entrants),
    ):
        digest.update(part.encode() + b"\0")
    digest.update(terrain.days.tobytes())
    return digest.hexdigest()


def _shapes(settings: int, worlds: int) -> dict[str, Shape]:
    """The arrays of a block, as a journal keeps them."""
    return {
        "positions": POSITIONS,
        "promoted": Shape("<i4", (settings, len(NULLS), worlds)),
        "lucky": Shape("<i4", (settings, None)),
        "world": Shape("<i4", (None,)),
        "z": Shape("<f4", (None,)),
        "maxima": Shape("<f4", (len(NULLS), worlds)),
        "rest": Shape("<f4", (worlds,)),
        "candidates": Shape("<i4", (None,)),
        "candidate_z": Shape("<f4", (None, worlds)),
    }


def _disjoint(kept: Sequence[Arrays], count: int) -> Iterator[Block]:
    """Blocks as far as each is about strategies that no other one is about."""
    seen: set[int] = set()
    for arrays in kept:
        named: dict[str, Any] = dict(arrays)
        block = Block(**named)
        own, candidates = set(block.positions.tolist()), set(block.candidates.tolist())
        sound = (
            own <= set(range(count)) - seen
            and len(own) == block.positions.size == block.lucky.shape[1]
            and candidates <= own
            and len(candidates) == block.candidates.size == len(block.candidate_z)
            and block.world.size == block.z.size
        )
        if sound:
            seen |= own
            yield block


@dataclass(frozen=True)
class _Combined:
    """All blocks added up."""

    positions: NDArray[np.int32]  # of the strategies that went through all worlds, ascending
    promoted: NDArray[np.int64]  # shape (n_settings, n_nulls, n_worlds)
    lucky: NDArray[np.int64]  # shape (n_settings, n_strategies)
    pairs: luck.Pairs
    maxima: NDArray[np.float32]
    rest: NDArray[np.float32]
    candidates: NDArray[np.int32]
    candidate_z: NDArray[np.float32]

    @classmethod
    def of(cls, blocks: Sequence[Block], positions: NDArray[np.int32]) -> _Combined:
        """Sums and maxima: the same in any order."""
        if not blocks:
            raise NothingToCalibrate(
                "no strategy can be calibrated: each failed, or its numbers do not follow from its trades"
            )
        where_from = np.concatenate([block.positions for block in blocks])
        candidates = np.concatenate([block.candidates for block in blocks])
        by_candidate = np.argsort(candidates)
        return cls(
            positions,
            np.sum([block.promoted for block in blocks], axis=0, dtype=np.int64),
            np.concatenate([block.lucky for block in blocks], axis=1)[:, np.argsort(where_from)].astype(np.int64),
            luck.Pairs(np.concatenate([b.world for b in blocks]), np.concatenate([b.z for b in blocks])),
            np.max([block.maxima for block in blocks], axis=0),
            np.max([block.rest for block in blocks], axis=0),
            candidates[by_candidate],
            np.concatenate([block.candidate_z for block in blocks])[by_candidate],
        )


def _summed(
    run: Calibrating,
    universe: Universe,
    of: Calibrated,
    of_data: Evidence,
    worlds: _Combined,
    lost: Mapping[str, str],
) -> Calibration:
    """What is reported."""
    left_out = {**of.left_out, **lost}
    kept = worlds.positions.astype(np.int64)
    z = of_data.z[kept]
    terms = list(_terms(run, universe))
    promoted = np.array([_low_enough(of.rows.max_drawdown_r[kept], each) for each in terms]) & of.passed[:, kept]
    settings = [
        Setting(
            config,
            worlds.promoted[i],
            int(promoted[i].sum()),
            kept.size,
            len(left_out),
            _promoted_beside(universe, left_out.keys() & _ids_with(universe.verdicts[i], Status.PASSED), terms[i]),
            int((z < 0).sum()),
            config.max_drawdown is not None,
        )
        for i, config in enumerate(run.order.settings)
    ]
    return Calibration(
        run.order.instrument,
        run.order.design,
        settings,
        _strategies(run, of.observed.of(kept), promoted[0], z, worlds),
        left_out,
        _best(run, z, worlds),
        (EPOCH + timedelta(days=int(universe.seen.days[-1]))).isoformat(),
        None if universe.panel is None else _companions(universe.panel[of.places[kept]], z, worlds),
    )


def _best(run: Calibrating, z: NDArray[np.float64], worlds: _Combined) -> dict[str, float]:
    if run.order.counts_only:
        return {}
    return dict(zip(NULLS, luck.best(z[~np.isnan(z)], worlds.maxima), strict=True))


def _companions(panel: csr_matrix, z: NDArray[np.float64], worlds: _Combined) -> Companions:
    tested = np.flatnonzero(~np.isnan(z))
    return companions(panel[tested], z[tested], worlds.maxima[0])


def _terms(run: Calibrating, universe: Universe) -> Iterator[Terms]:
    for config, of_setting in zip(run.order.settings, universe.seen.candidates, strict=True):
        yield of_setting.terms._replace(config=config)


def _promoted_beside(universe: Universe, passed: Collection[str], terms: Terms) -> int:
    """How many of these strategies a run promotes, which pass all gates but that of drawdowns."""
    drawdowns = [universe.seen.strategies[name].max_drawdown_r for name in passed]
    return int(_low_enough(np.array(drawdowns, dtype=np.float64), terms).sum())


def _low_enough(drawdown_r: NDArray[np.float64], terms: Terms) -> NDArray[np.bool_]:
    """Whether the gate that no world can judge lets each strategy through."""
    gate = GATES[POSITION[UPPER_BOUND]]
    threshold = gate.threshold(terms)
    return np.ones(drawdown_r.size, dtype=np.bool_) if threshold is None else gate.holds(drawdown_r, threshold)


def _strategies(
    run: Calibrating, observed: Observed, promoted: NDArray[np.bool_], z: NDArray[np.float64], worlds: _Combined
) -> Strategies:
    """Each strategy's share of luck, under the first setting."""
    count, ids = run.order.design.worlds, observed.ids
    known = np.flatnonzero(promoted & ~np.isnan(z) & (not run.order.counts_only))
    luck_q, luck_bound, stepm_p, maxt_p = np.full((4, len(ids)), np.nan)
    luck_q[known] = luck.q_values(z[known], worlds.pairs, count)
    luck_bound[known] = luck.bounds(z[known], worlds.pairs, count)
    candidates = np.searchsorted(worlds.positions, worlds.candidates)
    stepm_p[candidates], maxt_p[candidates] = luck.step_down(z[candidates], worlds.candidate_z, worlds.rest)
    of_windows = stitched(observed, run.order.config)
    return Strategies(ids, promoted, worlds.lucky[0] / count, z, of_windows, luck_q, luck_bound, stepm_p, maxt_p)
