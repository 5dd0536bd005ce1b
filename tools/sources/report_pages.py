"""Pulling paged reports of a provider's API: page by page, patient with limits, resumable after any page.

The reports of a window are asked for one after the other. After each page a cursor says how far it came. Whoever keeps
the rows of a page before its cursor loses nothing and, records being idempotent, counts nothing twice.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from pydantic import BaseModel, ConfigDict

from store.errors import BadInput
from store.model.ports import Clock
from store.model.span import SourceRow
from store.model.statement import Said, Statement
from store.model.usage import Quarantined, UsageRecord, Window, to_us
from tools.http import Answer, Host, NoAnswer
from tools.sources.documents import DocumentSource, Object

_MOST_TRIES = 6
_LONGEST_WAIT = 600.0
_DAY = timedelta(days=1)
_CURSOR_LOST = (400, 404, 410, 422)

Query = list[tuple[str, str]]


def _next_page(page: Object) -> object:
    """What Anthropic and OpenAI both say of the page that follows."""
    return page.get("next_page") if page.get("has_more") is True else None


class AskedToWait(NoAnswer):
    """The provider wants to be left alone for so many seconds; the cursor goes on from there later."""

    def __init__(self, says: str, seconds: float) -> None:
        super().__init__(says)
        self.seconds = seconds


class Report(NamedTuple):
    """One report: its path, the query for a window without the page, and how pages are named and followed.

    `spans` gives the buckets of a page, [start, end) in microseconds, where each stands whole on one page.
    """

    path: str
    query: Callable[[Window], Query]
    page_name: str = "page"
    next_page: Callable[[Object], object] = _next_page
    spans: Callable[[Object], list[tuple[int, int]]] | None = None


class PullCursor(BaseModel):
    """Where a pull goes on: the page of a report of a window; no page means the report's first. Kept as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Window
    report: int = 0
    page: str | None = None


class Pulled(NamedTuple):
    """A page's rows, and where the next page begins; None after the last page of the last report.

    `statements`: the periods of which these are all rows, None where the rows are single calls.
    """

    rows: list[SourceRow]
    cursor: PullCursor | None
    statements: list[Statement] | None = None

    def said(self) -> Iterator[Said | Quarantined]:
        """The rows, each with its statement."""
        spans = {(one.start_us, one.end_us): one for one in self.statements or ()}
        yield from ((one, None) for one in spans.values())
        for row in self.rows:
            if isinstance(row, Quarantined):
                yield row
            elif isinstance(row, UsageRecord):
                yield spans[row.occurred_us, row.occurred_us + row.period_seconds * 10**6], row


class ReportPuller:
    """Reads the reports of one organisation. `wait` sleeps for that many seconds, or raises AskedToWait."""

    def __init__(
        self,
        *,
        name: str,
        host: Host,
        headers: dict[str, str],
        reports: Sequence[Report],
        source: DocumentSource,
        clock: Clock,
        wait: Callable[[float], None],
    ) -> None:
        self._name = name
        self._host = host
        self._headers = headers
        self._reports = reports
        self._source = source
        self._clock = clock
        self._wait = wait

    def pull(self, window: Window, cursor: PullCursor | None = None) -> Iterator[Pulled]:
        """The pages of the window, lazily; from the cursor on where it is one of this window.

        A cursor that the provider no longer knows begins its report anew: its rows count as duplicates.

        Raises:
            BadInput: the key may not read the report, or the provider does not take the question.
            NoAnswer: no answer after some tries, or a wait of more than ten minutes was asked for.
        """
        here = cursor if cursor and cursor.window == window else PullCursor(window=window)
        while here.report < len(self._reports):
            page = self._page(here)
            if page is None:
                here = here.model_copy(update={"page": None})
                continue
            after = self._after(here, page)
            more = after.report < len(self._reports)
            rows = list(self._source.parse([page]))
            yield Pulled(rows, after if more else None, self._statements(here, page))
            here = after

    def close(self) -> None:
        """Close the connections."""
        self._host.close()

    def _statements(self, here: PullCursor, page: Object) -> list[Statement] | None:
        report = self._reports[here.report]
        if report.spans is None:
            return None
        version_us = to_us(self._clock())
        return [Statement(self._name, report.path, *span, version_us) for span in report.spans(page)]

    def _after(self, here: PullCursor, page: Object) -> PullCursor:
        token = self._reports[here.report].next_page(page)
        if isinstance(token, str) and token not in ("", here.page):
            return here.model_copy(update={"page": token})
        return here.model_copy(update={"report": here.report + 1, "page": None})

    def _page(self, here: PullCursor) -> Object | None:
        """The page, or None where the provider refuses the cursor's page."""
        report = self._reports[here.report]
        query = [*report.query(here.window), *([(report.page_name, here.page)] if here.page else [])]
        answer = self._patiently(f"{report.path}?{urlencode(query)}")
        what = f"GET {self._host.base_url}{report.path}"
        if answer.status in (401, 403):
            raise BadInput(
                f"{what}: the key may not read this report ({answer.status}); "
                "it takes an Admin key, or a project's key pair"
            )
        if answer.status in _CURSOR_LOST and here.page:
            return None
        if answer.status != 200:
            raise BadInput(f"{what}: answered {answer.status}; check the base URL and the organisation's plan")
        try:
            found = msgspec.json.decode(answer.body)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(f"{what}: the answer is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise NoAnswer(f"{what}: the answer is not a page of a report")
        return found

    def _patiently(self, path: str) -> Answer:
        """Ask until there is an answer that is neither a limit nor a fault of the provider's."""
        problem = ""
        for tries in range(_MOST_TRIES):
            seconds = 2.0**tries
            try:
                answer = self._host.call("GET", path, headers=self._headers)
            except NoAnswer as error:
                problem = str(error)
            else:
                if answer.status != 429 and answer.status < 500:
                    return answer
                problem = f"GET {self._host.base_url}{path.partition('?')[0]}: answered {answer.status}"
                seconds = self._asked_for(answer, seconds)
                if seconds > _LONGEST_WAIT:
                    says = f"{problem} and asks to wait {seconds:.0f} s; the cursor goes on from here later"
                    raise AskedToWait(says, seconds)
            if tries + 1 < _MOST_TRIES:
                try:
                    self._wait(seconds)
                except AskedToWait as error:
                    raise AskedToWait(f"{problem}; {error}", error.seconds) from error
        raise NoAnswer(f"{problem}; {_MOST_TRIES} tries")

    def _asked_for(self, answer: Answer, otherwise: float) -> float:
        """The seconds that Retry-After asks for, as a number or as a date."""
        asked = answer.headers.get("retry-after", "")
        try:
            return max(0.0, float(asked))
        except ValueError:
            pass
        try:
            until = parsedate_to_datetime(asked)
        except ValueError:
            return otherwise
        return max(0.0, (_aware(until) - self._clock()).total_seconds())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def days_around(window: Window) -> Window:
    """The whole UTC days that hold the window, for reports that know days only."""
    start = window.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    end = window.end.astimezone(UTC)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(start=start, end=midnight if midnight == end else midnight + _DAY)
