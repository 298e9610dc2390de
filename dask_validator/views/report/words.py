"""The words of a report, explained on its last lines; `docs/glossary.md` says the same."""

from __future__ import annotations

WORDS = {
    "R": "the result of a trade in units of what it risked, after costs: +1.5 R earned one and a half times the risk",
    "ORB": "opening range breakout: a trade in the direction in which the price leaves the range of a session's start",
    "session": "the hour or market event with which the opening range begins, and the length of that range in minutes",
    "outcome key": "session, target, bars of confirmation and entry model: strategies that share it share "
    "their trades, from which each takes the days of its filter",
    "canonical": "of several strategies that trade the same days, the one that is judged and tested",
    "alias": "another name of a canonical strategy: SKIPPED, and no test of its own",
    "twins": "promoted strategies that win and lose the same on the same days: one result under several names",
    "test window": "half a year, unless asked otherwise, from the second year on; looked at alone, not kept aside",
    "significant": "the p-value after Benjamini-Hochberg (BH) over all canonical strategies is below 5 %",
    "DORMANT": "a year whose mean ATR is below 20 points; if it was negative with at most 5 trades, it is waived",
    "decayed edge": "a reason to earn that was there and has ended, as the demonstration plants it",
    "world": "a past in which no strategy earns and all else is as in the data: who trades when, what goes together",
    "luck": "promotions that the gates would make in such worlds; a bound, as it takes every strategy at break-even",
    "z": "how far a mean result is from zero, as a normal deviate: 1.645 is reached by chance once in twenty times",
}
UNITS = {
    "%": "the result of a trade in per cent of the capital or the position, after costs",
    "money": "the result of a trade in money, after costs",
}
OF_OPENING_RANGES = {"ORB", "session", "outcome key", "DORMANT"}


def words_of(unit: str, *, imported: bool) -> dict[str, str]:
    """Those that a page needs, whose results are in that unit."""
    words = {name: meaning for name, meaning in WORDS.items() if not (imported and name in OF_OPENING_RANGES)}
    if unit != "R":
        del words["R"]
        words = {unit: UNITS.get(unit, "the unit of results")} | words
    return words


SEASONS = {
    "STABLE": "winter and summer differ by at most 0.10 R a trade, earning or losing, with 15 trades or more in each",
    "BOTH-POS": "both earn, on too few trades for STABLE, WINTER-DOM or SUMMER-DOM",
    "WINTER-DOM": "winter is better by more than 0.10 R a trade, with 15 trades or more",
    "SUMMER-DOM": "summer is better by more than 0.10 R a trade, with 15 trades or more",
    "WINTER-ONLY": "the mean was positive in winter only: two signs are no test, nearly a third of the "
    "demonstration's noise has such a pair",
    "SUMMER-ONLY": "the mean was positive in summer only: as little a test",
    "UNSTABLE": "neither earns, on too few trades for STABLE, WINTER-DOM or SUMMER-DOM",
    "LOW-N": "fewer than 10 trades in winter or in summer",
    "CLEAN": "not computed: the session has no seasons",
}
