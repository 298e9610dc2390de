"""Bokeh figures of a result: plain tables in, a figure out; Bokeh is imported when the first one is drawn.

The background is Bokeh's own, so that a theme of the user's decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dask_validator.model import NOWHERE, OTHER, R, WindowResult
from dask_validator.promoted.equity import deepest_fall
from dask_validator.views.palette import LIGHT
from dask_validator.wording.harmless import plain

if TYPE_CHECKING:
    import numpy as np
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from dask_validator.promoted.trades import Trades
    from dask_validator.run.forecast import Forecast

Columns = dict[str, Any]  # lists of one length, by name
WIDTH = 760
MOST_BARS = 40


def funnel_columns(steps: Sequence[tuple[str, int, int]]) -> Columns:
    """What each step removed and what it left, in strategies; `steps` is what `funnel.steps` gives."""
    names, removed, left = zip(*steps, strict=True)
    columns: Columns = {"stage": [name.removeprefix("rejected in ") for name in names]}
    columns |= {"removed": list(removed), "left": list(left)}
    columns["before"] = [left + removed for left, removed in zip(columns["left"], columns["removed"], strict=True)]
    columns["label"] = [
        f"{left:,}" + (f" (\N{MINUS SIGN}{removed:,})" if removed else "")
        for left, removed in zip(columns["left"], columns["removed"], strict=True)
    ]
    return columns


def funnel_figure(steps: Sequence[tuple[str, int, int]], title: str) -> figure:
    """How many strategies were left after each stage, and how many it removed."""
    from bokeh.models import ColumnDataSource, NumeralTickFormatter

    columns = funnel_columns(steps)
    plot = _figure(
        title,
        height=60 + 28 * len(columns["stage"]),
        y_range=columns["stage"][::-1],
        x_range=(0, 1.3 * max(1, columns["left"][0])),
        tooltips=[("", "@stage"), ("left", "@left{0,0}"), ("removed", "@removed{0,0}")],
    )
    source = ColumnDataSource(columns)
    plot.hbar("stage", left=0, right="left", height=0.75, color=LIGHT.passed, source=source)
    plot.hbar(
        "stage",
        left="left",
        right="before",
        height=0.75,
        fill_color=None,
        line_color=None,
        hatch_pattern="right_diagonal_line",
        hatch_color=LIGHT.rejected,
        hatch_scale=7,
        source=source,
    )
    plot.text("before", "stage", text="label", x_offset=6, text_baseline="middle", text_font_size="9pt", source=source)
    plot.xaxis.axis_label = "strategies"
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.ygrid.grid_line_color = None
    return plot


def windows_columns(windows: Sequence[WindowResult], min_trades: int) -> Columns:
    """Test windows as rectangles: from, to, expectancy in R per trade (0 without trades), and what became of each."""
    return {
        "start": [datetime.fromisoformat(window.window_start) for window in windows],
        "end": [datetime.fromisoformat(window.window_end) for window in windows],
        "exp_r": [window.test_exp_r or 0.0 for window in windows],
        "n": [window.test_n for window in windows],
        "label": [f"{window.test_n}" for window in windows],
        "win_rate": ["" if window.test_wr is None else f"{window.test_wr:.0%}" for window in windows],
        "became": [_became(window, min_trades) for window in windows],
        "color": [COLOURS[_became(window, min_trades)] for window in windows],
    }


PASSES, TOO_FEW, NOT_POSITIVE = "passes", "too few trades", "zero or negative"
COLOURS = {PASSES: LIGHT.passed, TOO_FEW: LIGHT.second, NOT_POSITIVE: LIGHT.rejected}


def _became(window: WindowResult, min_trades: int) -> str:
    if window.test_n < min_trades:
        return TOO_FEW
    return PASSES if window.test_pass else NOT_POSITIVE


def windows_figure(strategy_id: str, windows: Sequence[WindowResult], min_trades: int, unit: str = R) -> figure:
    """Expectancy per trade of each test window, with its number of trades."""
    from bokeh.models import ColumnDataSource

    columns = windows_columns(windows, min_trades)
    low, high = min([0.0, *columns["exp_r"]]), max([0.0, *columns["exp_r"]])
    room = 0.15 * (high - low) or 1.0
    plot = _figure(
        strategy_id,
        height=330,
        x_axis_type="datetime",
        x_range=(columns["start"][0], columns["end"][-1]),
        y_range=(low - room, high + room),
        tooltips=[
            ("window", "@start{%F} to @end{%F}"),
            ("expectancy", f"@exp_r{{0.0000}} {unit}"),
            ("trades", "@n"),
            ("win rate", "@win_rate"),
            ("", "@became"),
        ],
    )
    plot.hover.formatters = {"@start": "datetime", "@end": "datetime"}
    source = ColumnDataSource(columns)
    plot.quad(
        left="start",
        right="end",
        bottom=0,
        top="exp_r",
        color="color",
        line_color=LIGHT.card,
        legend_group="became",
        source=source,
    )
    _label_windows(plot, columns)
    plot.xaxis.axis_label = "test windows, with their number of trades"
    plot.yaxis.axis_label = f"expectancy ({unit} per trade)"
    _legend_below(plot)
    return plot


def _label_windows(plot: figure, columns: Mapping[str, Sequence[Any]]) -> None:
    """The number of trades beyond the end of each bar."""
    middles = [start + (end - start) / 2 for start, end in zip(columns["start"], columns["end"], strict=True)]
    for sign, baseline, offset in ((1, "bottom", -2), (-1, "top", 2)):
        chosen = [i for i, exp_r in enumerate(columns["exp_r"]) if (exp_r >= 0) == (sign > 0)]
        plot.text(
            [middles[i] for i in chosen],
            [columns["exp_r"][i] for i in chosen],
            text=[columns["label"][i] for i in chosen],
            text_align="center",
            text_baseline=baseline,
            y_offset=offset,
            text_font_size="8pt",
        )


def equity_columns(trades: Trades) -> Columns:
    """Wins and losses one after the other: day, result, what they come to, and the number of their test window."""
    import numpy as np

    counts = trades.outcomes.code != OTHER
    window = trades.window[counts]
    return {
        "day": _moments(trades.outcomes.days[counts]),
        "total": trades.cumulative[counts],
        "result": trades.outcomes.pnl_r[counts],
        "window": np.where(window == NOWHERE, "none", (window + 1).astype(str)),
    }


def equity_figure(strategy_id: str, trades: Trades, unit: str = R) -> figure:
    """The sum of wins and losses over time; test windows are shaded, every other one darker."""
    from bokeh.models import ColumnDataSource

    columns, fall = equity_columns(trades), deepest_fall(trades.counted.pnl_r)
    total = columns["total"]
    low, high = min(0.0, float(total.min())), max(0.0, float(total.max()))
    room = 0.05 * (high - low) or 1.0
    plot = _figure(
        f"{strategy_id}: {total[-1]:+,.1f} {unit} in {total.size:,} trades, deepest fall {fall:,.1f} {unit}",
        height=330,
        x_axis_type="datetime",
        y_range=(low - room, high + room),
        tooltips=[
            ("day", "@day{%F}"),
            ("result", f"@result{{+0.0000}} {unit}"),
            ("until then", f"@total{{+0,0.0}} {unit}"),
            ("test window", "@window"),
        ],
    )
    _shade(plot, trades.walked.windows if (trades.window != NOWHERE).any() else [], low - room, high + room)
    source = ColumnDataSource(columns)
    line = plot.step("day", "total", mode="after", color=LIGHT.passed, line_width=2, source=source)
    plot.hover.formatters, plot.hover.renderers, plot.hover.mode = {"@day": "datetime"}, [line], "vline"
    plot.line([columns["day"][0], columns["day"][-1]], [0, 0], color=LIGHT.soft)
    plot.xaxis.axis_label = "test windows are shaded"
    plot.yaxis.axis_label = f"cumulative {unit}"
    return plot


def _shade(plot: figure, windows: Any, bottom: float, top: float) -> None:
    for first, alpha in ((0, 0.10), (1, 0.22)):
        if len(part := windows[first::2]):
            left, right = (_moments(part[name]) for name in ("start", "end"))
            plot.quad(left, right, bottom=bottom, top=top, color=LIGHT.second, alpha=alpha, line_color=None)


def _moments(days: NDArray[np.int32]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]").astype("datetime64[ms]")


def luck_figure(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> figure:
    """Promotions of each setting in the data, and in worlds without an edge: their mean, and 90 % of them."""
    from bokeh.models import ColumnDataSource

    columns = {name: [row[name] for row in rows] for name in ("promoted", "null_mean", "null_q05", "null_q95")}
    plot = _figure(
        "promotions in the data, and by luck",
        height=110 + 40 * len(rows),
        y_range=list(names)[::-1],
        x_range=(0, 1.05 * max(1.0, *columns["promoted"], *columns["null_q95"])),
        tooltips=[("", "@setting"), ("promoted", "@promoted"), ("by luck", "@null_mean{0.0} (@null_q05 to @null_q95)")],
    )
    source = ColumnDataSource({"setting": list(names), **columns})
    plot.hbar(
        "setting",
        left="null_q05",
        right="null_q95",
        height=0.25,
        color=LIGHT.rejected,
        alpha=0.35,
        source=source,
        legend_label="90 % of the worlds",
    )
    plot.scatter(
        "null_mean",
        "setting",
        size=10,
        marker="diamond",
        color=LIGHT.rejected,
        source=source,
        legend_label="by luck, on average",
    )
    plot.scatter("promoted", "setting", size=10, color=LIGHT.passed, source=source, legend_label="promoted")
    plot.xaxis.axis_label = "promoted strategies"
    _legend_below(plot)
    return plot


def worlds_figure(counts: NDArray[np.int64], promoted: int) -> figure:
    """How many strategies each world without an edge promotes, and how many the data do."""
    import numpy as np
    from bokeh.models import ColumnDataSource

    step = 1 + int(np.ptp(counts)) // MOST_BARS
    edges = np.arange(int(counts.min()), int(counts.max()) + step + 1, step) - 0.5
    worlds, _ = np.histogram(counts, bins=edges)
    plot = _figure(
        "promotions by world",
        height=330,
        x_range=(-0.5, 1.05 * max(1.0, promoted, float(edges[-1]))),
        tooltips=[("promotions", "@least to @most"), ("worlds", "@top")],
    )
    columns = {"left": edges[:-1], "right": edges[1:], "top": worlds}
    source = ColumnDataSource({**columns, "least": edges[:-1] + 0.5, "most": edges[1:] - 0.5})
    plot.quad(
        left="left",
        right="right",
        bottom=0,
        top="top",
        color=LIGHT.rejected,
        line_color=LIGHT.card,
        legend_label="worlds without an edge",
        source=source,
    )
    top = [0, int(worlds.max())]
    plot.line([promoted] * 2, top, color=LIGHT.passed, line_width=3, legend_label=f"the data: {promoted:,}")
    plot.xaxis.axis_label = "promoted strategies"
    plot.yaxis.axis_label = "worlds"
    _legend_below(plot)
    return plot


def _legend_below(plot: figure) -> None:
    plot.add_layout(plot.legend[0], "below")
    plot.legend.orientation = "horizontal"
    plot.legend.location = "left"
    plot.legend.border_line_color = None


def speedup_figure(forecasts: Sequence[Forecast], workers: int, total_s: float) -> figure:
    """Seconds of the whole run: replayed for 1 to 64 workers with a core each, ideal, and as measured.

    `workers` and `total_s` are of the run that was measured. Ideal is the replay with one worker, divided.
    """
    counts = [forecast.workers for forecast in forecasts]
    replayed = [forecast.total_s for forecast in forecasts]
    best = next(forecast for forecast in forecasts if forecast.recommended)
    plot = _figure(
        "Whole run by number of workers",
        height=340,
        x_axis_type="log",
        x_range=(min(counts) / 1.2, max(*counts, workers) * 1.2),
        y_range=(0, 1.15 * max(*replayed, total_s)),
        tooltips=[("workers", "@x"), ("seconds", "@y{0.00}")],
    )
    ideal = [replayed[0] * counts[0] / count for count in counts]
    plot.line(counts, ideal, color=LIGHT.second, line_dash="dashed", line_width=2, legend_label="ideal")
    plot.line(counts, replayed, color=LIGHT.passed, line_width=2, legend_label="replayed")
    plot.scatter(counts, replayed, color=LIGHT.passed, size=7, legend_label="replayed")
    plot.scatter(
        [best.workers],
        [best.total_s],
        size=18,
        line_color=LIGHT.good,
        fill_color=None,
        line_width=3,
        legend_label=f"recommended: {best.workers}",
    )
    plot.scatter(
        [workers], [total_s], marker="x", size=13, color=LIGHT.mark, line_width=3, legend_label="this run, measured"
    )
    plot.add_layout(plot.legend[0], "right")
    plot.xaxis.ticker = counts
    plot.xaxis.axis_label = "workers"
    plot.yaxis.axis_label = "seconds"
    return plot


def _figure(title: str, **more: Any) -> figure:
    from bokeh.models.annotations import Title
    from bokeh.models.text import PlainText
    from bokeh.plotting import figure

    # As plain text, or a strategy_id with $$ in it would be taken for TeX.
    plot = figure(width=WIDTH, title=Title(text=PlainText(text=plain(title))), tools="hover,save", **more)
    plot.toolbar.logo = None
    return plot
