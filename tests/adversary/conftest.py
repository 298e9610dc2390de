"""The table of attacks that `make adversary` prints."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

_WORDS = {"passed": "held", "skipped": "skipped", "failed": "BROKEN"}  # from harmless to not
_OUTCOMES: dict[str, str] = {}
_ATTACKS: dict[str, str] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember what became of each attack; its name is the first line of the test's docstring."""
    report = (yield).get_result()  # type: ignore[func-returns-value]
    if "adversary" not in item.nodeid:
        return
    said = (getattr(item, "obj", item).__doc__ or "").strip().splitlines()
    _ATTACKS[item.nodeid] = said[0] if said else item.name
    if report.when == "call" or report.outcome != "passed":
        _OUTCOMES[item.nodeid] = report.outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line an attack with the worst that became of its ways in, only when nothing else was asked for."""
    if not _OUTCOMES or len(_OUTCOMES) != terminalreporter._numcollected:
        return
    terminalreporter.section("attacks")
    ways: dict[str, list[str]] = {}
    for name, outcome in _OUTCOMES.items():
        ways.setdefault(_ATTACKS[name], []).append(outcome)
    for attack, outcomes in ways.items():
        times = f"  ({len(outcomes)} ways)" if len(outcomes) > 1 else ""
        terminalreporter.write_line(f"{_WORDS[min(outcomes, key=list(_WORDS)[::-1].index)]:<8}{attack}{times}")
