"""What is said of promotions and luck, worded once for all who say it (docs/statistics.md, section 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_validator.wording.sentences import listed

WIDE = 5.0  # times: beyond, the interval needs an explanation
TOGETHER = 2.0  # variance over mean: promotions drawn one by one have at most 1
MOST_NAMED, MOST_REASONS = 5, 5  # strategies or settings in one line; lines
SAME_YEARS = (
    "All strategies were chosen on the same years as these windows. No window here is out of sample; only days after "
    "{last_day} are."
)
UNRECORDED = (
    "Counted are the {strategies:,} strategies in the table. Tries that were not recorded make every number here too "
    "good."
)
NOT_CALIBRATED = "their stored numbers do not follow from their outcomes and filter."
ENDED = "An edge that was there and has ended is not luck; no number here sees it."
NO_EVIDENCE = "That is no more than luck makes: these promotions are no evidence."
TOO_HIGH = (
    "The bound takes every strategy at break-even. Most of yours lose money, so it is too high by an unknown factor."
)
CLUSTERS = "Strategies move together: promotions come in clusters, so the number of lucky ones varies widely."


def verdict(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many promotions luck would make under the first setting, and what to doubt of which; rows as in `--json`."""
    settings, said = names(rows), _counted(rows[0])
    of_doubts: dict[str, list[str]] = {}
    for name, numbers in zip(settings, rows, strict=True):
        for doubt in _doubts(numbers):
            of_doubts.setdefault(doubt, []).append(name)
    return [
        said if len(rows) == 1 else f"{settings[0]}: {said}",
        *(doubt if len(of) == len(rows) else f"{listed(of, MOST_NAMED)}: {doubt}" for doubt, of in of_doubts.items()),
    ]


def _doubts(numbers: Mapping[str, Any]) -> list[str]:
    said = []
    if numbers["promoted"] <= numbers["null_q95"]:
        said.append(NO_EVIDENCE)
    if 2 * numbers["losing"] > numbers["strategies"]:
        said.append(TOO_HIGH)
    if _is_wide(numbers) and numbers["null_sd"] ** 2 > TOGETHER * numbers["null_mean"]:
        said.append(CLUSTERS)
    if numbers["upper_bound"]:
        said.append(
            "The worlds do not know of drawdowns: with --max-drawdown the number of lucky ones is an upper bound."
        )
    if numbers["not_calibrated"]:
        of_them = f"{numbers['not_calibrated']:,} strategies, {numbers['promoted_not_calibrated']:,} of them promoted,"
        said.append(f"{of_them} are not calibrated: {NOT_CALIBRATED}")
    return said


def _is_wide(numbers: Mapping[str, Any]) -> bool:
    return bool(numbers["null_q95"] > WIDE * numbers["null_q05"])


def _counted(numbers: Mapping[str, Any]) -> str:
    worlds = f"{numbers['worlds']:,} worlds, blocks of {numbers['block_days']:g} days"
    mean, of_all = one_decimal(numbers["null_mean"]), f"of {numbers['strategies']:,}"
    between = f"90 %: {numbers['null_q05']:,.0f} to {numbers['null_q95']:,.0f}"
    counted = (
        f"If no strategy had an edge, a run with these flags on these days would promote {mean} {of_all} "
        f"({between}; {worlds}). It promoted {numbers['promoted']:,}."
    )
    if not numbers["promoted"]:
        return counted
    low, high = percent(numbers["false_share_low"]), percent(numbers["false_share_high"])
    if not numbers["null_q95"]:  # an interval from nothing to nothing says less
        share = percent(numbers["false_share"])
        return f"{counted} At most about {share} of them would then be luck: most worlds promote none."
    return f"{counted} At most about {percent(numbers['false_share'])} of them ({low} to {high}) would then be luck."


def of_strategy(known: Mapping[str, float | None]) -> list[str]:
    """What null worlds say of one strategy, by the names of `dask_validator_results`."""
    if not known or known.get("luck") is None:
        return ["Not calibrated: no world without an edge says anything of it"] if known else []
    z, of_windows = known.get("z"), known.get("z_stitched")
    parts = ["z is not defined: too few trades, or all alike" if z is None else f"z {z:.2f}"]
    if of_windows is not None:
        parts.append(f"{of_windows:.2f} in the test windows alone, which it was chosen on too")
    if known.get("luck_bound") is not None:
        mean, most = percent(known["luck_q"] or 0.0), percent(known["luck_bound"] or 0.0)
        parts.append(f"q {mean}; with 95 % confidence at most {most} of the promotions as strong are luck")
    if (p_value := known.get("stepm_p")) is not None:
        parts.append(f"p {p_value:.4f} in the step-down over all strategies")
    calendar = f"Worlds without an edge promote its calendar in {percent(known['luck'] or 0.0)} of the cases"
    return [f"Luck: {', '.join(parts)}", f"{calendar}: that is of the calendar and the gates, not of its result"]


def by_reason(left_out: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Who is not calibrated, by why, the most frequent reason first; `left_out` by strategy_id."""
    found: dict[str, list[str]] = {}
    for strategy_id, reason in sorted(left_out.items()):
        found.setdefault(reason, []).append(strategy_id)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def named(left_out: Mapping[str, str]) -> list[str]:
    """The same in a few lines."""
    ordered = by_reason(left_out)
    lines = [f"not calibrated, because {reason}: {listed(ids, MOST_NAMED)}" for reason, ids in ordered[:MOST_REASONS]]
    if others := ordered[MOST_REASONS:]:
        lines.append(f"not calibrated for {len(others):,} other reasons: {sum(len(ids) for _, ids in others):,} more")
    return lines


def limits(numbers: Mapping[str, Any]) -> list[str]:
    """What no number here can tell."""
    return [SAME_YEARS.format(**numbers), UNRECORDED.format(**numbers), ENDED]


def companions(of: Any, spa: Mapping[str, float]) -> list[str]:
    """What `universe.companions.Companions` says, each for what it judges; none of it is a verdict."""
    found = of.discoveries
    one_sided = f"{found.earning:,} of {found.tested:,} earn significantly by z (Benjamini-Hochberg, one-sided, 5 %)"
    two_sided = f"Two-sided {found.differing:,} differ from zero, and {found.losing:,} of these lose"
    by_pairs = f"by the correlations of all pairs {found.tested:,} strategies are worth {of.by_eigenvalues:,.0f}"
    apart = f"{of.leaders:,} of them are correlated by less than half with each other"
    said = [
        f"One by one, {one_sided}, {found.earning_by:,} whatever moves together (Benjamini-Yekutieli). {two_sided}.",
        f"Effective number: {by_pairs}; {apart}; the largest z of the worlds is that of {of.independent_tests:,.0f} "
        "independent ones.",
        f"The best of all: p {spa['u']:.4f} (reality check, White 2000), {spa['c']:.4f} (SPA, Hansen 2005).",
    ]
    if of.overfitting is not None:
        said.append(
            f"Picking the single best by Sharpe ratio: in {percent(of.overfitting)} of {of.splits:,} splits of the "
            "days it ends in the lower half on the other days (PBO by CSCV). That judges this choice, not the "
            "promotions."
        )
    if found.without_edge is not None:
        said.append(f"At most {percent(found.without_edge)} have no edge, as far as one-sided p-values tell (Storey).")
    return said


HEAD = ("", "promoted", "by luck", "90 % of worlds", "of them luck")


def row(numbers: Mapping[str, Any]) -> list[str]:
    """One setting, below HEAD but for its name."""
    share = "-"
    if numbers["false_share"] is not None:
        low, high = percent(numbers["false_share_low"]), percent(numbers["false_share_high"])
        share = f"{percent(numbers['false_share'])} ({low}-{high})"
    between = f"{numbers['null_q05']:,.0f} to {numbers['null_q95']:,.0f}"
    return [f"{numbers['promoted']:,}", one_decimal(numbers["null_mean"]), between, share]


def names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """By setting, the flags in which it differs from another one, as one types them."""
    settings = [numbers["settings"] for numbers in rows]
    varied = [name for name in settings[0] if len({str(of.get(name)) for of in settings}) > 1]
    spelled = [" ".join(f"--{name.replace('_', '-')} {_typed(of.get(name))}" for name in varied) for of in settings]
    return [name or "as asked" for name in spelled]


def _typed(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def one_decimal(number: float) -> str:
    """A mean number of promotions; one that is not none never reads 0.0."""
    return f"{number:,.1f}" if number == 0 or number >= 0.05 else "less than 0.1"


def percent(share: float) -> str:
    """A share without decimals, unless it is small."""
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}"
