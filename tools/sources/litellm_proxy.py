"""What a running LiteLLM proxy can tell of its past, read with a read key: calls, else days, else totals.

Only GET requests are sent. Each way is tried in turn, the finest first; the first that has anything is taken.
Measured on LiteLLM 1.106: /spend/logs/v2 counts to 10,000 and gives 1,000 rows a page, about 10 kB each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, timedelta
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec

from store.errors import BadInput
from store.model.ports import Clock
from store.model.usage import Quarantined, UsageRecord, Window, floor_to, to_us
from tools.http import Answer, Host, NoAnswer
from tools.sources.dimensions import at
from tools.sources.fields import Faulty
from tools.sources.litellm import LiteLLMSource
from tools.sources.litellm_days import DayKey, Sums, parts_of, records_of, sums_of

Grain = Literal["calls", "days", "totals"]
DAY = timedelta(days=1)
_LEGACY_CAP = 10_000
_MOST_PAGES = 1_000
_READABLE_KEY = {"api_key_id": ("metadata.user_api_key_alias", "metadata.user_api_key_hash")}

CANNOT_KNOW: dict[Grain, tuple[str, ...]] = {
    "calls": (
        "apps and environments, unless request tags (app:NAME) or spend_logs_metadata name them",
        "sessions, where callers send no session id: a loop then shows as volume",
        "repeated prompts and broken cache prefixes: the log has no prompt hashes; the guard adds them",
        "calls that LiteLLM did not log, or has deleted since",
    ),
    "days": (
        "single calls: no sessions, no loops, no retries, no latency",
        "the hour: a spike is dated to its UTC day, and today is left out because it is not over",
        "apps and environments; what is shown are teams, keys and models",
        "prices: the cost is what LiteLLM calculated",
    ),
    "totals": (
        "anything but the spend of a whole day: no teams, keys, models, or calls",
        "the hour: a spike is dated to its UTC day, and today is left out because it is not over",
    ),
}


class History(NamedTuple):
    """What was found: rows to read once, the span that they cover, and what must be said of them."""

    grain: Grain
    window: Window
    rows: Iterator[UsageRecord | Quarantined]
    notes: tuple[str, ...]


class ProxyHistory:
    """Reads one proxy. `most_calls` bounds how many single calls are read, the newest first."""

    def __init__(self, host: Host, *, clock: Clock, name: str = "litellm", most_calls: int = 200_000) -> None:
        self._host = host
        self._clock = clock
        self._name = name
        self._most_calls = most_calls
        self._page = 1_000

    def read(self, window: Window, *, grain: Grain | None = None) -> History:
        """The finest history of the window that this proxy offers to this key, or that of one grain.

        Raises:
            BadInput: the proxy does not answer, the key may not read, or there is nothing.
        """
        notes: list[str] = []
        ways = (("calls", self._calls), ("calls", self._logs), ("days", self._days), ("totals", self._totals))
        for kind, way in ways:
            if grain not in (None, kind):
                continue
            try:
                found = way(window)
            except NoAnswer as error:
                notes.append(str(error))
            else:
                return found._replace(notes=(*notes, *found.notes))
        raise BadInput(
            f"{self._host.base_url} offers no usage of {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}: "
            + "; ".join(notes)
            + "; give a key that may read spend (the master key, or one of a proxy_admin_viewer), and its right URL"
        )

    def calls_in(self, window: Window) -> Iterator[tuple[Window, list[object]]]:
        """The rows of /spend/logs/v2 by parts of days, oldest first, lazily; a part without calls comes too.

        Raises:
            NoAnswer: no trustworthy answer; older versions have no /spend/logs/v2.
        """
        start = window.start
        while start < window.end:
            end = min(window.end, floor_to(start, 86_400) + DAY)
            for span, calls in reversed(list(self._cut(Window(start=start, end=end)))):
                yield span, list(self._pages([(span, calls)]))
            start = end

    # --- single calls ----------------------------------------------------------------------------------------

    def _calls(self, window: Window) -> History:
        spans: list[tuple[Window, int]] = []
        planned = 0
        for span, calls in self._spans(window):
            if planned + calls > self._most_calls:
                break
            spans.append((span, calls))
            planned += calls
        if not planned:
            raise NoAnswer("/spend/logs/v2: no calls are kept")
        covered = Window(start=min(span.start for span, _ in spans), end=window.end)
        notes = () if covered == window else (f"only the newest {planned:,} calls are read; see --max-calls",)
        return History("calls", covered, self._parsed(self._pages(spans)), notes)

    def _spans(self, window: Window) -> Iterator[tuple[Window, int]]:
        """Days, newest first, cut until the proxy counts each part to its end; and how many calls each has."""
        end = window.end
        while end > window.start:
            start = max(window.start, floor_to(end - timedelta(seconds=1), 86_400))
            yield from self._cut(Window(start=start, end=end))
            end = start

    def _cut(self, span: Window) -> Iterator[tuple[Window, int]]:
        found = self._v2(span, page=1, size=1)
        if found.get("total_is_capped") is True and span.seconds >= 2:
            middle = floor_to(span.start + timedelta(seconds=span.seconds / 2), 1)
            yield from self._cut(Window(start=middle, end=span.end))
            yield from self._cut(Window(start=span.start, end=middle))
        else:
            yield span, _whole(found.get("total"))

    def _pages(self, spans: Sequence[tuple[Window, int]]) -> Iterator[object]:
        for span, calls in spans:
            page = 0
            while page * self._page < calls:
                page += 1
                yield from _list(self._v2(span, page=page, size=self._page).get("data"))

    def _v2(self, span: Window, *, page: int, size: int) -> Mapping[str, Any]:
        params: dict[str, str | int] = {
            "start_date": f"{span.start.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            "end_date": f"{span.end.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            "page": page,
            "page_size": size,
        }
        found = self._get("/spend/logs/v2", params, dict)
        assert isinstance(found, dict)
        return found

    def _logs(self, window: Window) -> History:
        """The older list of a day's calls, which is cut at 10,000 and has no pages."""
        days = list(_days(window))[::-1]
        for position, day in enumerate(days):
            rows = self._day_of_calls(day)
            if rows:
                more = chain.from_iterable(self._day_of_calls(older) for older in days[position + 1 :])
                note = f"this LiteLLM shows at most the newest {_LEGACY_CAP:,} calls of each day"
                return History("calls", window, self._parsed(chain(rows, more)), (note,))
        raise NoAnswer("/spend/logs: no calls are kept")

    def _day_of_calls(self, day: date) -> list[object]:
        params = {"start_date": day.isoformat(), "end_date": (day + DAY).isoformat(), "summarize": "false"}
        rows = _list(self._get("/spend/logs", params, list))
        if any(not isinstance(row, dict) or "request_id" not in row for row in rows[:1]):
            raise NoAnswer("/spend/logs: this LiteLLM only sums up whole days there")
        return rows

    def _parsed(self, rows: Iterable[object]) -> Iterator[UsageRecord | Quarantined]:
        # An alias is what people know their keys by; these records are shown once and then thrown away.
        return LiteLLMSource(name=self._name, clock=self._clock, places=_READABLE_KEY).parse(rows)

    # --- days and totals -------------------------------------------------------------------------------------

    def _days(self, window: Window) -> History:
        """Daily sums by model and key. A page may hold a part of a day, so parts are added up first."""
        found: dict[DayKey, Sums] = {}
        page, more = 0, True
        while more and page < _MOST_PAGES:
            page += 1
            params: dict[str, str | int] = {**_dates(window), "page": page, "page_size": self._page}
            answer = self._get("/user/daily/activity", params, dict)
            try:
                for key, sums in parts_of(_list(at(answer, "results"))):
                    before = found.get(key, {})
                    found[key] = {name: value + before.get(name, 0) for name, value in sums.items()}
            except Faulty as error:
                raise NoAnswer(f"/user/daily/activity: {error}") from error
            more = at(answer, "metadata.has_more") is True
        if not found:
            raise NoAnswer("/user/daily/activity: no spend is kept")
        return History("days", _whole_days(window), self._records(found, self._team_names()), ())

    def _totals(self, window: Window) -> History:
        rows = _list(self._get("/global/spend/logs", {}, list))
        try:
            found = {DayKey(str(at(row, "date"))[:10]): sums_of(row) for row in rows if at(row, "date")}
        except Faulty as error:
            raise NoAnswer(f"/global/spend/logs: {error}") from error
        if not found:
            raise NoAnswer("/global/spend/logs: no spend is kept")
        return History("totals", _whole_days(window), self._records(found, {}), ())

    def _records(self, found: dict[DayKey, Sums], teams: dict[str, str]) -> Iterator[UsageRecord | Quarantined]:
        observed_us = to_us(self._clock())
        for key, sums in sorted(found.items()):
            yield from records_of(key, sums, source=self._name, observed_us=observed_us, teams=teams)

    def _team_names(self) -> dict[str, str]:
        try:
            found = _list(self._get("/team/list", {}, list))
        except NoAnswer:
            return {}  # the ids must do
        return {str(at(one, "team_id")): str(at(one, "team_alias")) for one in found if at(one, "team_alias")}

    # --- inside ----------------------------------------------------------------------------------------------

    def _get(self, path: str, params: Mapping[str, str | int], shape: type) -> object:
        answer = self._host.call("GET", path, params=params)
        if answer.status == 422 and params.get("page_size") == self._page == 1_000:
            self._page = 100  # the most that older versions give
            return self._get(path, {**params, "page_size": self._page}, shape)
        if answer.status != 200:
            raise NoAnswer(f"{path} answers {answer.status}{_message(answer)}")
        try:
            found = msgspec.json.decode(answer.body)
        except (ValueError, RecursionError):
            raise NoAnswer(f"{path} answers what is not JSON; is this LiteLLM?") from None
        if not isinstance(found, shape):
            raise NoAnswer(f"{path} answers something else than LiteLLM does")
        return found


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _dates(window: Window) -> dict[str, str]:
    return {"start_date": f"{window.start:%Y-%m-%d}", "end_date": f"{window.end:%Y-%m-%d}"}


def _days(window: Window) -> Iterator[date]:
    day = window.start.astimezone(UTC).date()
    while day <= window.end.astimezone(UTC).date():
        yield day
        day += DAY


def _whole_days(window: Window) -> Window:
    return Window(start=floor_to(window.start, 86_400), end=floor_to(window.end, 86_400))


def _message(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return ""
    said = at(found, "error.message") or at(found, "detail.error") or at(found, "detail")
    return f" ({said[:160]})" if isinstance(said, str) else ""
