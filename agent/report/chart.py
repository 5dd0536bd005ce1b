"""The chart of the week: actual spend against expected, incidents shaded, remedies marked."""

from datetime import datetime, time, timedelta
from io import BytesIO
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from agent.report.lines import is_loss
from agent.report.week import instant, monday_of, zone_of
from agent.report.wording import cause_text, day_text
from store.model.money import usd_number
from store.model.summary import IncidentLine, WeeklySummary
from store.model.usage import Window

WIDTH, HEIGHT = 1200, 500
"""In pixels."""

Theme = Literal["light", "dark"]


class _Colours(NamedTuple):
    paper: str
    ink: str
    faint: str
    actual: str
    expected: str
    incident: str
    remedy: str


_THEMES: dict[Theme, _Colours] = {
    "light": _Colours("#ffffff", "#1d2433", "#d9dde6", "#2457d6", "#6b7487", "#d9480f", "#12805c"),
    "dark": _Colours("#161b26", "#e6e9f0", "#323a4b", "#7aa2ff", "#8f98ab", "#ff8a4c", "#3ccf9b"),
}
_LABEL_ROWS = 4
_LETTER_DAYS = 1.4 / 24
"""How much of the week one letter of a label covers."""


def png(summary: WeeklySummary, *, theme: Theme = "light") -> bytes:
    """The chart as a PNG of WIDTH x HEIGHT pixels; equal summaries give equal bytes.

    It shows no text that came from traffic: incidents carry their number and their cause.
    """
    colours = _THEMES[theme]
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=colours.paper)
    axes = figure.add_axes((0.055, 0.07, 0.93, 0.80))
    _frame(axes, summary, colours)
    _spend(axes, summary, colours)
    _incidents(axes, summary, colours)
    _legend(axes, summary, colours)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=100, metadata={"Software": None, "Title": f"Spend in week {summary.week}"})
    return out.getvalue()


def _frame(axes: Axes, summary: WeeklySummary, colours: _Colours) -> None:
    zone = zone_of(summary.time_zone)
    axes.set_facecolor(colours.paper)
    axes.set_xlim(_x(summary.window.start), _x(summary.window.end))
    peak = max((max(point.actual_nanos, point.baseline_nanos) for point in summary.series), default=0)
    axes.set_ylim(0, usd_number(peak) * 1.32 or 1.0)
    monday = datetime.combine(monday_of(summary.week), time())
    days = [instant(monday + timedelta(days=day), zone) for day in range(7)]
    axes.set_xticks([_x(day) for day in days], [day_text(day, zone) for day in days], ha="left")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda usd, _: _tick(usd)))
    axes.grid(visible=True, color=colours.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colours.ink, labelsize=10, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colours.faint)
    axes.set_title(
        f"Spend in USD per hour ({summary.time_zone})",
        loc="left",
        color=colours.ink,
        fontsize=13,
        fontweight="bold",
        pad=14,
        parse_math=False,
    )


def _tick(usd: float) -> str:
    if usd >= 10_000:
        return f"{usd / 1000:,.0f}k"
    return f"{usd:,.0f}" if usd >= 10 or not usd else f"{usd:,.2f}"


def _spend(axes: Axes, summary: WeeklySummary, colours: _Colours) -> None:
    if not summary.series:
        return
    edges = [_x(point.at) for point in summary.series]
    edges.append(edges[-1] + 1 / 24)
    actual = [usd_number(point.actual_nanos) for point in summary.series]
    axes.stairs(actual, edges, fill=True, color=colours.actual, alpha=0.14, zorder=2)
    axes.stairs(actual, edges, color=colours.actual, linewidth=1.8, zorder=3, label="Actual", baseline=None)
    if any(point.baseline_nanos for point in summary.series):
        expected = [usd_number(point.baseline_nanos) for point in summary.series]
        axes.stairs(
            expected,
            edges,
            color=colours.expected,
            linewidth=1.5,
            zorder=3.5,
            linestyle=(0, (4, 2)),
            label="Expected",
            baseline=None,
        )


def _incidents(axes: Axes, summary: WeeklySummary, colours: _Colours) -> None:
    """Shade each incident; its label stands on the first row that is free there, or is only its number."""
    free_from = [_x(summary.window.start)] * _LABEL_ROWS
    end = _x(summary.window.end)
    for number, line in enumerate(summary.incidents, start=1):
        shade = _shown(line, summary)
        colour = colours.incident if is_loss(line) else colours.expected
        axes.axvspan(_x(shade.start), _x(shade.end), color=colour, alpha=0.14, linewidth=0, zorder=0.5)
        axes.axvline(_x(shade.start), color=colour, linewidth=1, zorder=1)
        text = f"{number} {cause_text(line.cause)}"
        late = _x(shade.start) + _LETTER_DAYS * len(text) > end
        left = _x(shade.start) - (_LETTER_DAYS * len(text) if late else 0)
        row = next((index for index, free in enumerate(free_from) if free <= left), None)
        if row is None:
            text, row = str(number), _LABEL_ROWS
        else:
            free_from[row] = left + _LETTER_DAYS * (len(text) + 3)
        axes.annotate(
            text,
            (_x(shade.start), 0.97 - 0.075 * row),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            fontsize=10,
            fontweight="bold",
            color=colour,
            parse_math=False,
            zorder=4,
        )
        _remedies(axes, line, summary.window, colours)


def _remedies(axes: Axes, line: IncidentLine, window: Window, colours: _Colours) -> None:
    moments = [one.applied_at for one in line.remedies if one.applied_at is not None]
    inside = [_x(moment) for moment in moments if window.start <= moment < window.end]
    axes.plot(
        inside,
        [0.012] * len(inside),
        transform=axes.get_xaxis_transform(),
        linestyle="none",
        marker="^",
        markersize=9,
        color=colours.remedy,
        markeredgecolor=colours.paper,
        clip_on=False,
        zorder=5,
    )


def _legend(axes: Axes, summary: WeeklySummary, colours: _Colours) -> None:
    if summary.incidents:
        axes.fill_between([], [], color=colours.incident, alpha=0.25, label="Incident", linewidth=0)
    if any(remedy.applied_at for line in summary.incidents for remedy in line.remedies):
        axes.plot([], [], linestyle="none", marker="^", markersize=8, color=colours.remedy, label="Remedy applied")
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles,
            labels,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.005),
            ncols=len(labels),
            frameon=False,
            fontsize=10,
            labelcolor=colours.ink,
        )


def _shown(line: IncidentLine, summary: WeeklySummary) -> Window:
    """The part of the incident that lies in the week; one that is still open runs to where the week has come."""
    now = min(summary.made_at, summary.window.end)
    start = min(max(line.started_at, summary.window.start), now)
    return Window(start=start, end=max(start, min(line.ended_at or now, now)))


def _x(moment: datetime) -> float:
    """Days since the epoch, UTC."""
    return moment.timestamp() / 86400
