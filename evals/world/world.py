"""The seeded company as a whole: its usage over any window, and the truth about what was wrong with it."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import AwareDatetime, BaseModel, ConfigDict

from evals.world.calls import calls_of
from evals.world.catalogue import COMPANY
from evals.world.clients import Clients, Gate
from evals.world.company import AppSpec
from evals.world.faults.fault import Fault
from store.errors import BadInput
from store.model.incident import Cause
from store.model.prices import PriceKey, PriceTable
from store.model.usage import Scope, UsageRecord, Window, floor_to, to_us


class TrueIncident(BaseModel):
    """One seeded incident as it really is.

    `true_excess_nanos`: cost with it minus cost without it over its window, exactly, if nobody intervenes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Scope
    cause: Cause
    start: AwareDatetime
    end: AwareDatetime
    true_excess_nanos: int

    @property
    def window(self) -> Window:
        """When it happened."""
        return Window(start=self.start, end=self.end)


class World:
    """A company with its faults. Equal arguments give equal traffic, whatever is asked first.

    Apps' names are unique. Without `prices` all records are unpriced.
    """

    def __init__(
        self,
        *,
        seed: int,
        faults: Iterable[Fault] = (),
        prices: PriceTable | None = None,
        company: Sequence[AppSpec] = COMPANY,
    ) -> None:
        self._seed = seed
        self._apps = {app.name: app for app in company}
        if len(self._apps) != len(company):
            raise BadInput("two apps of the seeded company have one name; give each its own")
        self._faults = tuple(faults)
        for fault in self._faults:
            if fault.app not in self._apps:
                raise BadInput(f"a fault befalls {fault.app!r}, which is no app of the company; name one of its apps")
        self._prices = prices
        counts = {(fault.app, model): times for fault in self._faults for model, times in fault.counts.items()}
        self._clients = Clients(self._apps, counts)
        self._hour = lru_cache(maxsize=2)(self._make_hour)

    @property
    def apps(self) -> tuple[AppSpec, ...]:
        """The company's apps."""
        return tuple(self._apps.values())

    @property
    def price_keys(self) -> frozenset[PriceKey]:
        """All models that the apps use or a fault brings in, for a price table."""
        models = {PriceKey(app.provider, app.model) for app in self.apps}
        brought = {PriceKey(self._apps[fault.app].provider, name) for fault in self._faults for name in fault.brings}
        return frozenset(models | brought)

    def without_faults(self) -> "World":
        """The clean twin: the same company, the same days, nothing wrong."""
        return World(seed=self._seed, prices=self._prices, company=self.apps)

    def traffic(self, window: Window, gateway: Gate | None = None) -> list[UsageRecord]:
        """All records that end in the window, oldest first.

        With a gateway, its rules act on the calls, and the calls on its counters: windows must then be asked for in
        order of time, each once. Without one, any window may be asked for at any time.
        """
        records = [record for hour in hours_of(window) for record in self._between(hour, window)]
        if gateway is not None:
            records = self._clients.meet(records, gateway, until_us=window.end_us)
        return [self._priced(record) for record in records]

    def truth(self) -> list[TrueIncident]:
        """The seeded incidents in order of their start.

        Raises:
            BadInput: the world has no prices, so that an excess cannot be told.
        """
        if self._prices is None:
            raise BadInput("the truth about cost needs prices; give the world a PriceTable")
        found = [
            TrueIncident(
                scope=self._apps[fault.app].scope,
                cause=fault.cause,
                start=fault.window.start,
                end=fault.window.end,
                true_excess_nanos=self._excess(fault),
            )
            for fault in self._faults
        ]
        return sorted(found, key=lambda incident: incident.start)

    def _between(self, hour: datetime, window: Window) -> Sequence[UsageRecord]:
        records = self._hour(hour)
        first = bisect_left(records, window.start_us, key=lambda record: record.occurred_us)
        last = bisect_left(records, window.end_us, key=lambda record: record.occurred_us)
        return records[first:last]

    def _make_hour(self, hour: datetime) -> tuple[UsageRecord, ...]:
        records = [record for app in self.apps for record in self._app_hour(app, hour, self._faults)]
        return tuple(sorted(records, key=lambda record: record.occurred_us))

    def _app_hour(self, app: AppSpec, hour: datetime, faults: Iterable[Fault]) -> list[UsageRecord]:
        calls = calls_of(app, hour, self._seed)
        next_hour = hour + timedelta(hours=1)
        for fault in faults:
            if fault.app == app.name and fault.window.start < next_hour and hour < fault.window.end:
                calls = fault.apply(app, hour, calls, seed=self._seed)
        return calls

    def _excess(self, fault: Fault) -> int:
        others = [other for other in self._faults if other is not fault]
        app = self._apps[fault.app]
        return sum(
            self._cost(self._app_hour(app, hour, self._faults)) - self._cost(self._app_hour(app, hour, others))
            for hour in hours_of(fault.window)
        )

    def _cost(self, records: Iterable[UsageRecord]) -> int:
        return sum(self._priced(record).cost_nanos or 0 for record in records)

    def _priced(self, record: UsageRecord) -> UsageRecord:
        if self._prices is None:
            return record
        return record._replace(cost_nanos=self._prices.cost(record))


def hours_of(window: Window) -> Iterator[datetime]:
    """The start of every UTC hour that the window touches."""
    hour = floor_to(window.start, 3600)
    while to_us(hour) < window.end_us:
        yield hour
        hour += timedelta(hours=1)
