"""The parts of the page that are text, as HTML; whatever comes from the user's database is escaped here."""

from __future__ import annotations

from dask_validator.views.live import columns
from dask_validator.views.live.columns import View
from dask_validator.views.live.progress import Message, State
from dask_validator.views.palette import LIGHT, variables
from dask_validator.wording.durations import duration
from dask_validator.wording.harmless import breakable, escaped, plain, shell_word

STYLE = (
    f":host {{ {variables(LIGHT)} }}"
    + """
:host { width: 100%; color: var(--text); font: 14px Helvetica, Arial, sans-serif; }
.bk-clearfix { width: 100%; }
h2 { font-size: 20px; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: 13px; margin: 0 0 8px; font-weight: bold; }
p { margin: 4px 0 0; overflow-wrap: anywhere; }
.muted { color: var(--soft); }
.badge { display: inline-block; padding: 2px 10px; border-radius: 11px; font-size: 13px; color: var(--card);
  vertical-align: 3px; margin-left: 6px; white-space: nowrap; }
.badge.busy { background: var(--passed); }
.badge.good { background: var(--good); } .badge.bad { background: var(--bad); }
.groups { display: grid; grid-template-columns: 6fr 4fr; gap: 12px 24px; }
.groups section:first-child .figures { grid-template-columns: repeat(6, 1fr); }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; }
@media (max-width: 1200px) { .groups { grid-template-columns: 1fr; } }
@media (max-width: 640px) {
  .groups section:first-child .figures { grid-template-columns: repeat(3, 1fr); }
  .figures { grid-template-columns: repeat(2, 1fr); }
}
.alarm { background: var(--bad); color: var(--card); border-radius: 6px; padding: 8px 12px; margin: 12px 0 0; }
code { overflow-wrap: anywhere; user-select: all; }
.figure { background: var(--card); border: 1px solid var(--edge); border-radius: 6px; padding: 8px 10px; }
.figure b { display: block; font-size: 20px; font-weight: normal; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.figure.passed b { color: var(--passed); } .figure.bad b { color: var(--bad); } .figure.busy b { color: var(--passed); }
.figure span { color: var(--soft); font-size: 12px; }
.bar { height: 14px; background: var(--grid); border-radius: 7px; overflow: hidden; }
.bar div { height: 100%; background: var(--passed); }
.bar.good div { background: var(--good); } .bar.bad div { background: var(--bad); }
.spread { display: flex; justify-content: space-between; flex-wrap: wrap; gap: 0 16px; margin-top: 4px; }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
td, th { padding: 4px 6px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--grid);
  overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: normal; font-size: 12px; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; width: 1%; }
.name { white-space: nowrap; width: 1%; }
.item { font-size: 13px; padding: 4px 6px; margin: 0; border-bottom: 1px solid var(--grid); }
.item b { font-weight: normal; color: var(--bad); }
.scroll { max-height: 250px; overflow: auto; }
.share { vertical-align: middle; }
.share div { height: 9px; background: var(--rejected); border-radius: 2px; }
"""
)
DISCONNECTED = (
    "<p class='alarm' role='alert'><b data-key='disconnected'>Disconnected</b>: the server of this page has gone. "
    "What is below is the last that was heard of the run.</p>"
)


def _nothing(wait: str) -> str:
    return f"<p class='muted'>{wait or 'none'}</p>"


def nothing() -> str:
    """Before the first word of a run."""
    return "<h2>No run yet</h2><p class='muted'>This page shows the runs of this cluster from their start on.</p>"


def title(message: Message) -> str:
    """Which run, and what it does or how it ended."""
    text, kind = columns.state(message)
    database = str(message["database"])[-200:]
    lines = "".join(f"<p>{escaped(message[name])}</p>" for name in ("reason", "doubt", "unjudged") if message[name])
    return (
        f"<h2>{escaped(message['instrument'])}<span class='badge {kind}' data-key='state'>{escaped(text)}</span></h2>"
        f"<p class='muted'>{escaped(database)} &middot; run {escaped(message['run_id'])}</p>{lines}"
    )


def choice(message: Message) -> str:
    """A run among others, as plain text."""
    text, _ = columns.state(message)
    return plain(f"{message['run_id']} {message['instrument']} ({text})")


def figures(view: View) -> str:
    """The big numbers, what has become of the strategies apart from how fast they are computed."""
    groups = {"Verdicts": columns.verdicts(view.message), "Speed": columns.speeds(view)}
    parts = (
        f"<section><h3>{name}</h3><div class='figures'>{''.join(map(_figure, group))}</div></section>"
        for name, group in groups.items()
    )
    return f"<div class='groups'>{''.join(parts)}</div>"


def ending(message: Message) -> str:
    """What there is to know, and to do next, once a run has ended."""
    if not message["ended"] or not message["discoveries"]:
        return ""
    said = "".join(f"<p>{escaped(sentence)}</p>" for sentence in message["discoveries"])
    if not message["committed"]:
        return f"<h3>p-values</h3>{said}"
    words = ["dask-validator", "report", "--db", message["database"], "--run", message["run_id"]]
    command = " ".join(map(shell_word, [*words, "--output", "run.html"]))
    return f"<h3>p-values</h3>{said}<p>Read it afterwards: <code>{escaped(command)}</code></p>"


def _figure(figure: columns.Figure) -> str:
    value = f"<b data-key='{figure.key}'>{escaped(figure.text)}</b>"
    return f"<div class='figure {figure.kind}'>{value}<span>{escaped(figure.label)}</span></div>"


def bar(view: View) -> str:
    """How far computing is, and how long it will take."""
    message = view.message
    share = columns.share_done(message)
    percent = int(100 * share)  # 100 only when nothing is left
    eta = columns.eta_s(view)
    done, total = f"{columns.done(message):,}", f"{message['to_compute']:,}"
    taken_over = f", {message['taken_over']:,} of them from an earlier run" if message["taken_over"] else ""
    ends = "" if eta is None else f"about {duration(eta)} left &middot; "
    elapsed = duration(columns.elapsed_s(view))
    took = f"took {elapsed}" if message["ended"] else f"{ends}{elapsed} since the start"
    answered = (
        "screening the strategies: which of them need their outcomes is not known yet"
        if message["state"] == State.SCREENING
        else f"<b data-key='done'>{done}</b> of <b data-key='to_compute'>{total}</b> strategies "
        f"that need their outcomes ({percent} %){taken_over}"
    )
    return (
        f"<div class='bar {columns.state(message)[1]}' role='progressbar' aria-label='answers' aria-valuemin='0' "
        f"aria-valuemax='100' aria-valuenow='{percent}'><div style='width: {100 * share:.1f}%'></div></div>"
        f"<div class='spread'><span>{answered}</span><span data-key='time'>{took}</span></div>"
    )


def rejections(message: Message) -> str:
    """What each phase has rejected."""
    rows = columns.phases(message)
    most = max(count for _, count in rows) or 1
    cells = (
        f"<tr><td class='name'>{escaped(name)}</td>"
        f"<td class='number' data-key='phase_{name.split()[0]}'>{count:,}</td>"
        f"<td class='share'><div style='width: {100 * count / most:.1f}%'></div></td></tr>"
        for name, count in rows
    )
    return f"<h3>Rejected by phase</h3><table>{''.join(cells)}</table>"


def slowest(message: Message) -> str:
    """The strategies that took longest."""
    cells = (
        f"<tr><td>{breakable(strategy_id)}</td><td class='number'>{1000 * seconds:,.1f}</td></tr>"
        for strategy_id, seconds in message["slowest"]
    )
    table = f"<table><tr><th>strategy</th><th class='number'>ms</th></tr>{''.join(cells)}</table>"
    return f"<h3>Slowest strategies</h3>{table if message['slowest'] else _nothing(columns.awaited(message))}"


def failures(message: Message) -> str:
    """The latest strategies that failed, with the reason."""
    failed, known = message["counts"]["failed"], message["failures"]
    hidden = f"<p class='muted'>the latest of {failed:,}</p>" if failed > len(known) else ""
    items = "".join(
        f"<p class='item'><b>{breakable(strategy_id)}</b><br>{escaped(reason)}</p>" for strategy_id, reason in known
    )
    shown = items or _nothing(columns.awaited(message))
    return f"<h3>Latest failures</h3><div class='scroll' tabindex='0'>{shown}{hidden}</div>"
