"""Pulling what a LiteLLM proxy with a database keeps: single calls, or its daily sums, again and again.

Source: LiteLLM 1.106, /spend/logs/v2 and /user/daily/activity. Only GET requests are sent, with a read key.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from store.errors import BadInput
from store.model.ports import Clock
from store.model.statement import Statement
from store.model.usage import Quarantined, UsageRecord, Window, floor_to, iso, to_us
from tools.http import Host, NoAnswer
from tools.sources.litellm import LiteLLMSource
from tools.sources.litellm_proxy import ProxyHistory
from tools.sources.report_pages import PullCursor, Pulled

Grain = Literal["calls", "days"]
_DAY_US = 86_400 * 10**6


class LiteLLMPuller:
    """Reads one proxy. Calls come oldest first, each page's cursor says up to when all of them were read."""

    def __init__(self, *, host: Host, clock: Clock, name: str = "litellm", grain: Grain = "calls") -> None:
        self._host = host
        self._history = ProxyHistory(host, clock=clock, name=name)
        self._source = LiteLLMSource(name=name, clock=clock)
        self._clock = clock
        self._name = name
        self._grain = grain

    def pull(self, window: Window, cursor: PullCursor | None = None) -> Iterator[Pulled]:
        """The window's calls by parts of days, or its days as statements; from the cursor on.

        Raises:
            BadInput: the proxy keeps no daily sums, or the key may not read them.
            NoAnswer: no trustworthy answer.
        """
        if self._grain == "days":
            yield self._days(window)
            return
        start = datetime.fromisoformat(cursor.page) if cursor and cursor.page and cursor.window == window else None
        rest = Window(start=start or window.start, end=window.end)
        for span, rows in self._history.calls_in(rest):
            more = PullCursor(window=window, page=iso(span.end)) if span.end < window.end else None
            yield Pulled(list(self._source.parse(rows)), more)

    def close(self) -> None:
        """Close the connections."""
        self._host.close()

    def _days(self, window: Window) -> Pulled:
        """Each whole UTC day that the window touches is a statement of its own; today's is provisional."""
        start = floor_to(window.start, 86_400)
        days = [start + timedelta(days=n) for n in range(-(-int((window.end - start).total_seconds()) // 86_400))]
        version_us = to_us(self._clock())
        said = [
            Statement(self._name, "/user/daily/activity", to_us(day), to_us(day) + _DAY_US, version_us) for day in days
        ]
        whole = Window(start=start.astimezone(UTC), end=days[-1] + timedelta(days=1))
        return Pulled([row for row in self._daily(whole) if _within(row, whole)], None, said)

    def _daily(self, whole: Window) -> Iterator[UsageRecord | Quarantined]:
        try:
            yield from self._history.read(whole, grain="days").rows
        except BadInput as error:
            # A proxy that had no call in these days says so in the same words as one that keeps none.
            if "no spend is kept" not in str(error):
                raise NoAnswer(str(error)) from error


def _within(row: UsageRecord | Quarantined, window: Window) -> bool:
    return isinstance(row, Quarantined) or window.start_us <= row.occurred_us < window.end_us
