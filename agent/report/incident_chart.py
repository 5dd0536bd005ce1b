"""The chart of one incident: what its scope spent, and what was expected while it ran."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from agent.report.wording import time_text
from store.model.money import usd_number
from store.model.summary import SpendPoint
from store.model.usage import Window

WIDTH, HEIGHT = 1000, 360
"""In pixels."""
_TICKS = 8
_INK, _FAINT, _ACTUAL, _EXPECTED, _INCIDENT = "#1d2433", "#d9dde6", "#2457d6", "#6b7487", "#d9480f"


def incident_png(points: Sequence[SpendPoint], incident: Window, *, bucket_seconds: int, zone: ZoneInfo) -> bytes:
    """A PNG of WIDTH x HEIGHT pixels; `points` are whole buckets, oldest first, at least one.

    It shows no text that came from traffic. `baseline_nanos` of points before the incident is not drawn.
    """
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="#ffffff")
    axes = figure.add_axes((0.06, 0.1, 0.92, 0.76))
    edges = [_x(point.at) for point in points]
    edges.append(_x(points[-1].at + timedelta(seconds=bucket_seconds)))
    actual = [usd_number(point.actual_nanos) for point in points]
    axes.stairs(actual, edges, fill=True, color=_ACTUAL, alpha=0.14)
    axes.stairs(actual, edges, color=_ACTUAL, linewidth=1.8, label="Actual", baseline=None)
    during = [point for point in points if point.at >= incident.start]
    if during:
        expected = [usd_number(point.baseline_nanos) for point in during]
        axes.stairs(
            expected,
            edges[len(points) - len(during) :],
            color=_EXPECTED,
            linewidth=1.8,
            linestyle=(0, (4, 2)),
            label="Expected",
            baseline=None,
        )
    axes.axvspan(_x(incident.start), _x(incident.end), color=_INCIDENT, alpha=0.12, linewidth=0, label="Incident")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(actual) * 1.15 or 1.0)
    ticks = points[:: math.ceil(len(points) / _TICKS)]
    labels = [time_text(point.at, zone).partition(" ")[2] for point in ticks]
    axes.set_xticks([_x(point.at) for point in ticks], labels, ha="left")
    digits = 0 if max(actual) >= 10 else 2
    axes.yaxis.set_major_formatter(FuncFormatter(lambda usd, _: f"{usd:,.{digits}f}"))
    axes.grid(visible=True, color=_FAINT, linewidth=0.7)
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_FAINT)
    width = f"{bucket_seconds // 60} minutes" if bucket_seconds < 3600 else "hour"
    axes.set_title(f"Spend in USD per {width} ({zone.key})", loc="left", color=_INK, fontsize=12, parse_math=False)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9, labelcolor=_INK, borderpad=0
    )
    out = BytesIO()
    figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def _x(moment: datetime) -> float:
    return moment.timestamp() / 86400
