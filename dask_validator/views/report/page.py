"""One HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dask_validator.errors import InputError
from dask_validator.run.report_file import FIRST_WORDS, write_whole
from dask_validator.views.funnel import counted_phases
from dask_validator.views.palette import DARK, LIGHT, variables
from dask_validator.views.report import figures, promoted, tables
from dask_validator.views.report.columns import columns
from dask_validator.views.report.distributions import histogram, round_step, share_histogram, shared_edges
from dask_validator.views.report.misses import MOST_MISSES, Miss
from dask_validator.views.report.words import SEASONS, words_of
from dask_validator.wording import luck, sentences
from dask_validator.wording.harmless import breakable, plain, shell_word

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from dask_validator.promoted.twins import Twins
    from dask_validator.store.past_runs import PastRun

LONGEST = 160  # characters of a text from the database
LONGEST_NOTE = 600
MOST_GROUPS = 20  # of twins, that are named


class View(NamedTuple):
    """All that the page shows."""

    run: PastRun
    made_at: datetime
    judged: tables.Judged
    listed: Sequence[tables.Listed]
    misses: Mapping[int, Sequence[Miss]]  # by phase
    rescreened: bool  # phases 1-5 could be looked at again
    curve: tables.Curve | None
    seasons: Sequence[tables.SeasonRow]
    forecasts: Sequence[tuple[int, float, bool]]  # workers, seconds, recommended
    forecast_note: str
    settings: Sequence[tables.Setting]
    gaps: Sequence[str] = ()  # that it was taken back; what could not be shown, and why
    changed: int = 0  # strategies whose verdict is another one now, at least
    imported: bool = False  # of all strategies: nothing is known of sessions and seasons
    promoted: promoted.Promoted = promoted.Promoted()
    threads: Sequence[promoted.Thread] = ()


def render(view: View) -> str:
    """The page."""
    script = source("page.js")
    facets = promoted.facets(view.listed, view.promoted, view.threads)
    unit = sentences.unit_of(view.run.summary)
    return (
        environment()
        .from_string(source("macros.html.j2") + source("template.html.j2"))
        .render(
            first_line=Markup(FIRST_WORDS.decode()),
            style=Markup(style()),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            view=view,
            run=view.run,
            summary=view.run.summary,
            walkforward=view.run.summary["walkforward"],
            steps=tables.funnel_steps(view.run.summary),
            phase_names=counted_phases(view.run.summary),
            luck=_luck(view.run.summary),
            most_listed=tables.MOST_LISTED,
            most_misses=MOST_MISSES,
            min_pct_positive=view.run.parameters.get("wf_min_pct_positive", 0.0),
            details=_details(view, facets),
            curves=[promoted.compact(curve) for curve in view.promoted.curves],
            facets=facets,
            twins=_most_twins(view.promoted),
            shown=(shown := tables.columns_with_values(view.listed)),
            columns=columns(shown, unit),
            min_trades=view.run.parameters.get("wf_min_trades", 1),
            same_trades=sentences.SAME_TRADES,
            words=words_of(unit, imported=view.imported),
            seasons=SEASONS,
            doubt=sentences.unknown_filters(view.run.summary),
            unjudged=sentences.not_judged(view.run.summary),
            unit=unit,
            discoveries=sentences.discoveries(view.run.summary["fdr"]),
            stream=(stream := tables.task_stream(view.run.timings)),
            figures=_figures(view, stream),
        )
    )


def style() -> str:
    """Style sheets, light and dark."""
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {variables(DARK)} }} }}"
    return f":root {{ color-scheme: light dark; {variables(LIGHT)} }}\n{dark}\n{source('page.css')}"


def source(name: str) -> str:
    """A file of this package."""
    return (files("dask_validator.views.report") / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Where templates become pages: everything is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_plain
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters |= {
        "count": _count,
        "number": _number,
        "clip": _clip,
        "id": _breakable,
        "share": _share,
        "p": sentences.p_text,
        "nested": _nested,
        "zip": zip,
        "percent": lambda share: "" if share is None else luck.percent(share),
    }
    return environment


def _plain(value: Any) -> Any:
    """Whatever is put into the page, but for what is its own."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _count(value: int) -> str:
    return f"{value:,}"


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _clip(text: object, most: int = LONGEST) -> str:
    clipped = plain(str(text))
    return clipped if len(clipped) <= most else clipped[: most - 1] + "…"


def _breakable(text: object, most: int = LONGEST) -> Markup:
    """A name that a narrow column breaks between its parts."""
    return Markup(breakable(_clip(text, most)))


def _nested(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _details(view: View, facets: Sequence[promoted.Facet]) -> list[dict[str, Any]]:
    """What a row opens to, in the order of the rows."""
    explain = ["dask-validator", "explain", "--db", view.run.summary["db"]]
    if view.run.summary["committed"]:
        explain += ["--run", view.run.run_id]
    return [
        {
            "id": row.strategy_id,  # goes into files only
            "explain": " ".join(map(shell_word, [*explain, "--", row.strategy_id])),
            "cumulative": row.cumulative,
            "windows": [(plain(start), n, exp_r) for start, n, exp_r in row.windows],
            "end": plain(row.end),
            "split": row.split,
            "season": _clip(row.season),
            "p": sentences.p_text(row.p_value),
            "adjusted": sentences.p_text(row.adjusted_p),
            "significant": row.significant,
            "note": _clip(row.note, LONGEST_NOTE),
            "group": view.promoted.group.get(row.strategy_id),
            "lost": _clip(view.promoted.lost.get(row.strategy_id, "")),
            "facets": [facet.of_row[i] for facet in facets],
        }
        for i, row in enumerate(view.listed)
    ]


def _most_twins(found: promoted.Promoted) -> Sequence[Twins]:
    return found.with_twins[:MOST_GROUPS]


def write(output: Path, page: str) -> None:
    """Whole or not at all. Raises InputError."""
    try:
        write_whole(output, page)
    except OSError as error:
        raise InputError(f"the report {output} could not be written ({error.strerror})") from None


class Luck(NamedTuple):
    """What is said of luck."""

    rows: Sequence[Sequence[str]]
    names: Sequence[str]
    head: Sequence[str]
    said: Sequence[str]
    limits: Sequence[str]


def luck_of(rows: Sequence[Mapping[str, Any]]) -> Luck:
    """From settings as `--json` has them."""
    cells = [luck.row(row) for row in rows]
    return Luck(cells, luck.names(rows), luck.HEAD, luck.verdict(rows), luck.limits(rows[0]))


def _luck(summary: Mapping[str, Any]) -> Luck | None:
    return luck_of(summary["calibration"]) if summary.get("calibration") else None


def luck_figures(rows: Sequence[Mapping[str, Any]]) -> list[figures.Figure]:
    """One figure of all settings, none without any."""
    return (
        [
            figures.luck_figure(
                [figures.Luck(name, *_numbers(row)) for name, row in zip(luck.names(rows), rows, strict=True)]
            )
        ]
        if rows
        else []
    )


def _numbers(row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    return row["promoted"], row["null_mean"], row["null_q05"], row["null_q95"]


def _figures(view: View, stream: tables.Stream) -> dict[str, list[figures.Figure]]:
    """By what they show; empty where there is nothing to show."""
    walkforward, curve = view.run.summary["walkforward"], view.curve
    found = {
        "shares": [_shares(view, passed) for passed in (True, False) if view.judged.shares[passed].size],
        "expectancies": [_expectancies(view, passed) for passed in (True, False) if view.judged.shares[passed].size],
        "curve": [figures.discovery_figure(curve)] if curve is not None and curve.tested else [],
        "forecast": [figures.forecast_figure(view.forecasts)] if view.forecasts else [],
        "stream": [figures.stream_figure(stream)] if view.run.timings else [],
        "durations": [_durations(view)] if view.run.timings else [],
        "speedup": [],
        "threads": [figures.spark_figure(of.flag, of.value, of.points) for of in view.threads],
        "luck": luck_figures(view.run.summary.get("calibration") or []),
    }
    if walkforward and walkforward["tasks"]:
        found["speedup"].append(
            figures.speedup_figure(walkforward["workers"], walkforward["speedup"], walkforward["cpu_speedup"])
        )
    return found


def _shares(view: View, passed: bool) -> figures.Figure:
    kind, shares = "passed" if passed else "rejected", view.judged.shares[passed]
    return figures.histogram_figure(
        share_histogram(shares),
        kind,
        f"{kind}: {shares.size:,}",
        "share of valid windows with positive expectancy",
        unit="strategies",
        spelled=lambda value: f"{value:.0%}",
        mark=view.run.parameters.get("wf_min_pct_positive"),
    )


def _expectancies(view: View, passed: bool) -> figures.Figure:
    kind, expectancies = "passed" if passed else "rejected", view.judged.expectancies
    edges = shared_edges(np.concatenate([expectancies[True], expectancies[False]]))
    return figures.histogram_figure(
        histogram(expectancies[passed], edges),
        kind,
        f"{kind}: {expectancies[passed].size:,}",
        f"expectancy in the test windows, {sentences.unit_of(view.run.summary)} per trade",
        unit="strategies",
        spelled=lambda value: f"{value:g}",
        mark=0.0,
    )


def _durations(view: View) -> figures.Figure:
    durations = np.array([timing.wall_s for timing in view.run.timings])
    step = round_step(float(durations.max()) / 20)
    edges = [round(i * step, 10) for i in range(math.floor(float(durations.max()) / step) + 2)]
    return figures.histogram_figure(
        histogram(durations, edges),
        "task",
        f"{durations.size:,} task(s), median {np.median(durations):.3f} s, longest {durations.max():.3f} s",
        "seconds",
        unit="tasks",
        spelled=lambda value: f"{value:g}",
    )
