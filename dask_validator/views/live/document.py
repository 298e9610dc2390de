"""The page itself: a Bokeh document for each browser, drawn anew when its run has news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.layouts import column
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    DataRange1d,
    FactorRange,
    GlobalInlineStyleSheet,
    HoverTool,
    InlineStyleSheet,
    NumeralTickFormatter,
)
from bokeh.models.widgets import Div, Select
from bokeh.plotting import figure

from dask_validator.views.live import columns, markup
from dask_validator.views.live.progress import Message
from dask_validator.views.palette import LIGHT

if TYPE_CHECKING:
    from bokeh.document import Document


EVERY_MS = 500
LATEST = "latest"
HEIGHT = 230

GRID = ":host { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 12px; }"
CARD = f":host {{ background: {LIGHT.card}; box-shadow: 0 0 0 1px {LIGHT.edge}; border-radius: 6px; min-width: 0; }}"
PADDED = ":host { padding: 10px; }"
TOP = ":host { display: flex; flex-direction: row; flex-wrap: wrap; gap: 8px 24px; margin-top: 12px; }"
GROWING = ":host { flex: 1 1 320px; width: auto; }"


def document(page: columns.Runs, scheduler: Any, extra: dict[str, Any], doc: Document) -> None:
    """Fill one browser's document; called as Dask calls the functions of its own pages."""
    from distributed.dashboard.components.scheduler import BOKEH_THEME, env

    drawn = Drawn(page)
    drawn.update()
    doc.title = "Dask: Validation"
    doc.template = env.get_template("simple.html")
    doc.template_variables.update(extra)
    doc.theme = BOKEH_THEME
    doc.add_root(drawn.root)
    for event, shown in (("connection_lost", "true"), ("client_reconnected", "false")):  # these reach the browser only
        doc.js_on_event(event, CustomJS(args={"notice": drawn.disconnected}, code=f"notice.visible = {shown}"))
    doc.add_periodic_callback(drawn.update, EVERY_MS)


class Drawn:
    """What one browser sees."""

    def __init__(self, page: columns.Runs) -> None:
        self._page = page
        self._shown: tuple[str, Any, Any] | None = None
        self._select = Select(title="Run", value=LATEST, width=330)
        self._select.on_change("value", lambda attr, old, new: self.update())
        self.disconnected = _text()
        self.disconnected.update(text=markup.DISCONNECTED, visible=False)
        self._title, self._figures, self._bar, self._ending = _text(GROWING), _text(), _text(), _text()
        self._rejections, self._slowest, self._failures = (_text(CARD, PADDED) for _ in range(3))
        self._throughput = ColumnDataSource({"left": [], "right": [], "rate": []})
        self._speedups = ColumnDataSource({"seconds": [], "speedup": [], "cpu_speedup": []})
        self._ideal = ColumnDataSource({"seconds": [], "workers": []})
        self._workers = ColumnDataSource({"worker": [], "tasks": [], "strategies": [], "busy_s": []})
        self._worker_names = FactorRange(factors=[])
        self.root = self._layout()

    def update(self) -> None:
        """Show how the chosen run stands; what has not changed is not sent to the browser again."""
        runs = self._page.runs()
        if not runs:
            self._title.text = markup.nothing()
            return
        self._offer(runs)
        chosen = self._select.value
        run_id = chosen if chosen in dict(runs) else runs[0][0]
        view = self._page.view(run_id)
        message = view.message
        self._title.text = markup.title(message)
        self._figures.text = markup.figures(view)
        self._bar.text = markup.bar(view)
        news = run_id, message["number"], message["ended"]
        if news != self._shown:
            self._shown = news
            self._draw(view)

    def _offer(self, runs: list[tuple[str, Message]]) -> None:
        offered: list[Any] = [(run_id, markup.choice(message)) for run_id, message in runs]
        self._select.options = [(LATEST, "the latest"), *offered]

    def _draw(self, view: columns.View) -> None:
        message = view.message
        wait = columns.awaited(message)
        for plot, title in self._titles.items():
            plot.title.text = f"{title}: {wait}" if wait else title
        self._ending.text = markup.ending(message)
        self._rejections.text = markup.rejections(message)
        self._slowest.text = markup.slowest(message)
        self._failures.text = markup.failures(message)
        self._throughput.data = dict(columns.throughput(message))
        self._speedups.data = dict(columns.speedups(message))
        self._ideal.data = dict(columns.ideal(view))
        by_worker = columns.by_worker(message)
        self._worker_names.factors = list(by_worker["worker"])[::-1]
        self._workers.data = dict(by_worker)

    def _layout(self) -> Any:
        top = column([self._title, self._select], stylesheets=[InlineStyleSheet(css=TOP)], sizing_mode="stretch_width")
        plots = [self._throughput_plot(), self._speedup_plot(), self._workers_plot()]
        self._titles = {plot: plot.title.text for plot in plots}
        cards = column(
            [*plots, self._rejections, self._slowest, self._failures],
            stylesheets=[InlineStyleSheet(css=GRID)],
            sizing_mode="stretch_width",
        )
        return column(
            [self.disconnected, top, self._figures, self._bar, self._ending, cards],
            sizing_mode="stretch_width",
            spacing=12,
            stylesheets=[GlobalInlineStyleSheet(css="body { padding-bottom: 0 !important; }")],
        )

    def _throughput_plot(self) -> Any:
        plot = _plot("Strategies a second", "seconds of computing")
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
        plot.quad(
            left="left",
            right="right",
            top="rate",
            bottom=0,
            source=self._throughput,
            color=LIGHT.passed,
            line_color=LIGHT.card,
        )
        plot.add_tools(HoverTool(tooltips=[("to second", "@right{0.0}"), ("strategies a second", "@rate{0,0}")]))
        return plot

    def _speedup_plot(self) -> Any:
        plot = _plot("Speedup", "seconds of computing")
        plot.step(
            "seconds",
            "workers",
            source=self._ideal,
            mode="after",
            color=LIGHT.second,
            line_dash="dashed",
            line_width=2,
            legend_label="ideal: workers",
        )
        for name, label, color in (("speedup", "speedup", LIGHT.passed), ("cpu_speedup", "CPU speedup", LIGHT.mark)):
            plot.line("seconds", name, source=self._speedups, color=color, line_width=2, legend_label=label)
        plot.add_tools(
            HoverTool(
                tooltips=[("second", "@seconds{0.0}"), ("speedup", "@speedup{0.00}"), ("CPU", "@cpu_speedup{0.00}")],
                mode="vline",
                renderers=[plot.renderers[1]],
            )
        )
        plot.add_layout(plot.legend[0], "below")
        plot.min_border_bottom = 70
        plot.legend.orientation = "horizontal"
        plot.legend.border_line_color = plot.legend.background_fill_color = None
        plot.legend.margin = plot.legend.padding = 0
        plot.legend.label_text_font_size = "11px"
        plot.legend.glyph_width = 14
        plot.legend.spacing = 8
        return plot

    def _workers_plot(self) -> Any:
        plot = _plot("Tasks per worker", "tasks", y_range=self._worker_names)
        plot.hbar(y="worker", right="tasks", left=0, height=0.7, source=self._workers, color=LIGHT.passed)
        plot.add_tools(
            HoverTool(
                tooltips=[
                    ("worker", "@worker"),
                    ("tasks", "@tasks{0,0}"),
                    ("strategies", "@strategies{0,0}"),
                    ("busy, s", "@busy_s{0,0.0}"),
                ]
            )
        )
        plot.ygrid.visible = False
        return plot


def _text(*more: str) -> Div:
    sheets: list[Any] = [InlineStyleSheet(css=css) for css in (markup.STYLE, *more)]
    return Div(text="", sizing_mode="stretch_width", margin=0, stylesheets=sheets)


def _plot(title: str, x_label: str, **ranges: Any) -> Any:
    ranges = {"y_range": DataRange1d(start=0, range_padding=0.15), **ranges}
    plot = figure(
        title=title,
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_range=DataRange1d(start=0, range_padding=0.02),
        x_axis_label=x_label,
        toolbar_location=None,
        tools="",
        stylesheets=[InlineStyleSheet(css=CARD)],
        min_border_bottom=56,
        **ranges,
    )
    plot.xaxis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.outline_line_color = None
    return plot
