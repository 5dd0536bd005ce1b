"""Scheduled pulls: which source is due, from where it goes on, and how far it has come, kept beside its rows.

A pull reads a window page by page and keeps each page before its cursor, so a crash repeats at most a page. A window
that was not finished is gone on with; the next begins `lookback` before the end of the last, because reports grow.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from agent.settings import SourceSettings
from agent.steps.collect import take_in
from agent.steps.restate import take_stated
from store.errors import BadInput
from store.model.amendment import Amendment
from store.model.ports import Clock, Warehouse
from store.model.usage import Intake, Window, floor_to
from store.prices import PriceBook
from tools.http import NoAnswer
from tools.sources.pulling import Puller, lookback_of, open_puller, width_of
from tools.sources.report_pages import AskedToWait, PullCursor, Pulled
from tools.sources.settings import PullSettings

_BUDGET = timedelta(seconds=120)
"""How long one source may take before the others have their turn; it goes on from its cursor in the next round."""


class PullState(BaseModel):
    """How far one source has come. Kept as JSON in the warehouse: an older copy of the rows has the older state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    window: Window | None = None
    """The window that is being pulled, None between two."""
    cursor: PullCursor | None = None
    covered_until: AwareDatetime | None = None
    """Up to here everything was pulled once; what lies before may still be restated."""
    tried_at: AwareDatetime | None = None
    done_at: AwareDatetime | None = None
    due_at: AwareDatetime | None = None
    error: str | None = None

    @property
    def says(self) -> Literal["never", "ok", "going on", "failing"]:
        """In a word, for people."""
        if self.error is not None:
            return "failing"
        return "going on" if self.window else "ok" if self.done_at else "never"


def state_of(kept: str | None) -> PullState:
    """The state that was kept; a new one where there is none, or none that this version can read."""
    try:
        return PullState.model_validate_json(kept) if kept else PullState()
    except ValidationError:
        return PullState()  # the cursor is lost: the history is pulled again, and what is known counts as duplicates


@dataclass(frozen=True)
class Pulls:
    """Pulls every source that is due, one after the other.

    `wait` sleeps, or raises AskedToWait where it may not; `counted` hears what became of the rows of each page.
    """

    sources: Sequence[SourceSettings]
    warehouse: Warehouse
    prices: PriceBook
    amendment: Amendment
    clock: Clock
    wait: Callable[[float], None]
    say: Callable[[str], None]
    counted: Callable[[Intake], None]
    budget: timedelta = _BUDGET

    def run_due(self) -> list[str]:
        """One round; the names of the sources that were asked. A source that fails does not keep the others waiting."""
        asked = []
        for source in self.sources:
            state = state_of(self.warehouse.pulls().get(source.name))
            if source.pull is not None and (state.due_at is None or state.due_at <= self.clock()):
                self._keep(source, self._round(source, source.pull, state))
                asked.append(source.name)
        return asked

    def _round(self, source: SourceSettings, pull: PullSettings, state: PullState) -> PullState:
        now = self.clock()
        window = state.window or _next_window(source.format, pull, state, now)
        state = state.model_copy(update={"window": window, "tried_at": now, "error": None})
        every = timedelta(minutes=pull.every_minutes)
        try:
            puller = open_puller(source.format, name=source.name, settings=pull, clock=self.clock, wait=self.wait)
            try:
                state = self._read(source, puller, window, state, until=now + self.budget)
            finally:
                puller.close()
        except (BadInput, NoAnswer) as error:
            self.say(f"source {source.name}: {error}")
            due = self.clock() + (timedelta(seconds=error.seconds) if isinstance(error, AskedToWait) else every)
            kept = state_of(self.warehouse.pulls().get(source.name))
            said = str(error) if due > self.clock() else None  # one that is due at once was only told to stop
            return kept.model_copy(update={"window": window, "tried_at": now, "error": said, "due_at": due})
        if state.window is not None:  # the budget is spent: go on as soon as the others had their turn
            return state.model_copy(update={"due_at": self.clock()})
        return state.model_copy(update={"done_at": self.clock(), "due_at": now + every})

    def _read(
        self, source: SourceSettings, puller: Puller, window: Window, state: PullState, *, until: datetime
    ) -> PullState:
        """Keep page after page, each before its cursor, until the window or the budget ends."""
        for pulled in puller.pull(window, state.cursor):
            self.counted(self._take(source, pulled))
            if pulled.cursor is None:
                break
            state = state.model_copy(update={"cursor": pulled.cursor})
            self._keep(source, state)
            if self.clock() >= until:
                return state
        covered = max(window.end, state.covered_until or window.end)
        return state.model_copy(update={"window": None, "cursor": None, "covered_until": min(covered, self.clock())})

    def _take(self, source: SourceSettings, pulled: Pulled) -> Intake:
        if pulled.statements is None:
            return take_in(
                rows=pulled.rows,
                warehouse=self.warehouse,
                prices=self.prices,
                role=source.role,
                amendment=self.amendment,
            )
        return take_stated(
            rows=pulled.said(),
            warehouse=self.warehouse,
            prices=self.prices,
            role=source.role,
            amendment=self.amendment,
        )

    def _keep(self, source: SourceSettings, state: PullState) -> None:
        self.warehouse.keep_pull(source.name, state.model_dump_json())


def _next_window(kind: str, pull: PullSettings, state: PullState, now: datetime) -> Window:
    width = width_of(kind, pull)
    if state.covered_until is None:
        start = now - timedelta(days=pull.history_days)
    else:
        start = min(state.covered_until, now) - lookback_of(kind, pull)
    end = floor_to(now, width)
    return Window(start=floor_to(start, width), end=end if end == now else end + timedelta(seconds=width))


def ping_pull(source: SourceSettings, *, clock: Clock) -> str:
    """One page of the last hour, for `bursar check --online`: "ok, ...", or what is wrong."""
    assert source.pull is not None

    def wait(seconds: float) -> None:
        raise AskedToWait(f"it would be asked again in {seconds:.0f} s", seconds)

    now = clock()
    width = width_of(source.format, source.pull)
    window = Window(start=floor_to(now - timedelta(seconds=max(width, 3_600)), width), end=floor_to(now, width))
    try:
        puller = open_puller(source.format, name=source.name, settings=source.pull, clock=clock, wait=wait)
        try:
            pages: Iterable[Pulled] = puller.pull(window)
            rows = next((len(page.rows) for page in pages), 0)
        finally:
            puller.close()
    except (BadInput, NoAnswer) as error:
        return str(error)
    return f"ok, {rows:,} rows in a page since {window.start:%Y-%m-%d %H:%M} UTC"
