"""Which runs there were, for the terminal and as plain values."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from dask_validator.config import flag, unusual
from dask_validator.store.past_runs import Listed
from dask_validator.store.selection import WAITING, WAITING_OR_FAILED
from dask_validator.wording.harmless import plain, shell_word

COLUMNS = 80
COUNTS = ("rows", "passed", "rejected", "skipped", "failed")


def plain_values(run: Listed) -> dict[str, Any]:
    """One run as `runs --json` has it."""
    return {
        "run_id": run.run_id,
        "instrument": run.instrument,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(),
        "selection": run.summary.get("selection", WAITING.which),
        "flags": unusual(run.parameters),
        **{name: run.summary[name] for name in COUNTS},
        "rejected_by_phase": run.summary["rejected_by_phase"],
        "seconds": run.summary["total_s"],
        "undone": run.undone,
    }


def listing(runs: Sequence[Listed]) -> str:
    """A line for each, and below it what is unusual about it."""
    width = max(len(plain(run.instrument)) for run in runs)

    def line(run_id: str, finished: str, instrument: str, *numbers: str) -> str:
        rows, passed, failed, seconds = numbers
        return f"{run_id:22}  {finished:16} {instrument:{width}} {rows:>9} {passed:>7} {failed:>6} {seconds:>7}"

    lines = [line("run", "finished (UTC)", "of", "rows", "passed", "failed", "seconds")]
    for run in runs:
        numbers = [f"{run.summary[name]:,}" for name in ("rows", "passed", "failed")]
        finished, seconds = f"{run.finished_at:%Y-%m-%d %H:%M}", f"{run.summary['total_s']:,.1f}"
        lines.append(line(run.run_id, finished, plain(run.instrument), *numbers, seconds))
        said = "; ".join(filter(None, ["undone" if run.undone else "", flags_of(run)]))
        lines += textwrap.wrap(said, COLUMNS, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def flags_of(run: Listed) -> str:
    """What somebody has typed to get such a run, as far as it is recorded; tables of a rules file are named."""
    words, tables = _of_selection(run.summary.get("selection", WAITING.which)), []
    for name, value in unusual(run.parameters).items():
        if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, Mapping) for each in value)):
            tables.append(name)
        else:
            words += _spelled(name, value)
    return " ".join([*words, *([f"(--rules: {', '.join(tables)})"] if tables else [])])


def _of_selection(said: str) -> list[str]:
    if said == WAITING.which:
        return []
    if said == WAITING_OR_FAILED.which:
        return ["--resume"]
    return [f"--ids ({said})"] if said.endswith(" ids") else ["--strategies", said]


def _spelled(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag(name)]
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return [flag(name), *map(str, value)]
    values = value if isinstance(value, list) else [value]
    return [word for each in values for word in (flag(name), shell_word(str(each)))]
