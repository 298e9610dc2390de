"""A result as HTML for a notebook.

Only inline styles, and the page's own text colours: it reads in the dark as in the light, and a notebook that is not
trusted, or shown where styles are taken away, still has every number as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dask_validator.views.palette import LIGHT
from dask_validator.wording import luck, sentences
from dask_validator.wording.harmless import escaped

NUMBER = "text-align: right; padding: 1px 10px"
TEXT = "text-align: left; padding: 1px 10px"
MOST_WARNINGS = 20


def render(summary: Mapping[str, Any], steps: Sequence[tuple[str, int, int]], warnings: Sequence[str]) -> str:
    """The funnel with what each phase removed and what it left, and what follows from it.

    `steps` is what `funnel.steps` gives: names, how many each removed, how many it left.
    """
    parts = [f"<p><strong>{escaped(_headline(summary))}</strong></p>", _funnel(steps), _facts(_facts_of(summary))]
    if warnings:
        items = "".join(f"<li>{escaped(text)}</li>" for text in warnings[:MOST_WARNINGS])
        if (more := len(warnings) - MOST_WARNINGS) > 0:
            items += f"<li>and {more:,} more: result.warnings</li>"
        parts.append(f"<details><summary>{len(warnings):,} warning(s)</summary><ul>{items}</ul></details>")
    return f"<div>{''.join(parts)}</div>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as text, names first."""
    styles = [TEXT, *[NUMBER] * (len(head) - 1)]

    def line(kind: str, cells: Sequence[str]) -> str:
        found = zip(styles, cells, strict=True)
        return "".join(f'<{kind} style="{style}">{escaped(cell)}</{kind}>' for style, cell in found)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _headline(summary: Mapping[str, Any]) -> str:
    return f"{summary['instrument']}: {summary['passed']:,} of {summary['rows']:,} strategies passed"


def _funnel(steps: Sequence[tuple[str, int, int]]) -> str:
    processed = steps[0][2]
    rows = [
        _row(name, "" if name in ("processed", "passed") else f"{removed:,}", left, processed, strong=name == "passed")
        for name, removed, left in steps
    ]
    heads = (("", TEXT), ("removed", NUMBER), ("left", NUMBER), ("share left", NUMBER), ("", TEXT))
    head = "".join(f'<th style="{style}">{name}</th>' for name, style in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(name: str, removed: str, left: int, processed: int, *, strong: bool = False) -> str:
    share = left / processed if processed else 0.0
    bar = f'<div style="width: {round(160 * share)}px; height: 10px; background-color: {LIGHT.passed}"></div>'
    kind = "th" if strong else "td"
    cells = ((TEXT, escaped(name)), (NUMBER, removed), (NUMBER, f"{left:,}"), (NUMBER, f"{share:.1%}"))
    row = "".join(f'<{kind} style="{style}">{text}</{kind}>' for style, text in cells)
    return f'<tr>{row}<td style="{TEXT}">{bar}</td></tr>'


def _facts_of(summary: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    walkforward = summary["walkforward"]
    if walkforward:
        yield "walk-forward", f"{walkforward['passed']:,} of {walkforward['strategies']:,} strategies passed"
    if unjudged := sentences.not_judged(summary):
        yield "phase 4", unjudged
    if doubt := sentences.unknown_filters(summary):
        yield "unknown filters", doubt
    if rows := summary.get("calibration"):
        yield "luck", " ".join([*luck.verdict(rows), *luck.limits(rows[0])])
    yield "p-values", ". ".join(sentences.discoveries(summary["fdr"]))
    if summary["retired"]:
        label = "retired setups" if summary["committed"] else "setups that would be retired"
        yield label, f"{summary['retired']:,}"
    yield "run time", f"{summary['total_s']:.2f} s{_computing(walkforward)}"
    yield "database", _written(summary)


def _computing(walkforward: Mapping[str, Any] | None) -> str:
    if not walkforward or not walkforward["tasks"]:
        return ""
    return (
        f", of it {walkforward['wall_s']:.2f} s computing {walkforward['tasks']:,} tasks on "
        f"{walkforward['workers']:,} worker(s): speedup {walkforward['speedup']:.2f}, "
        f"CPU speedup {walkforward['cpu_speedup']:.2f}"
    )


def _written(summary: Mapping[str, Any]) -> str:
    if summary["dry_run"]:
        return "dry run, nothing written"
    return f"committed as run {summary['run_id']}" if summary["committed"] else "nothing written"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th style="{TEXT}">{escaped(name)}</th><td style="{TEXT}">{escaped(text)}</td></tr>'
        for name, text in facts
    )
    return f"<table><tbody>{rows}</tbody></table>"
