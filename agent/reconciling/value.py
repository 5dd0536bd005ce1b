"""What usage is worth, by team and day: at list price, as contracted, in cash; and how what is shared is split."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.reconciling.teams import DayUse, Money, Share, shares_of_day, summed
from store.model.allocation import SharedCost
from store.model.ports import Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.usage import NONE, TOKEN_CLASSES, TOTAL, Cube, Scope, UsageRecord, Window

TableFor = Callable[[Iterable[PriceKey]], PriceTable]
Covers = Callable[[PriceKey], bool]

DAY = 86_400
_PRICED_BY = ("team", "occurred_us", "requests", "service_tier", "speed", "cost_nanos", "unpriced", *TOKEN_CLASSES)


class Spending(NamedTuple):
    """The money of a window: each team's own usage, and what shared costs move between teams."""

    own: Mapping[str, Money]
    shares: Sequence[Share]

    @property
    def whole(self) -> Money:
        """All teams together; shares change nothing of it."""
        found = Money()
        for money in self.own.values():
            found = found.plus(money)
        return found

    @property
    def allocated(self) -> dict[str, Money]:
        """Each team's own usage with its share of what is shared."""
        found = dict(self.own)
        for share in self.shares:
            found[share.team] = found.get(share.team, Money()).plus(share.money)
        return found


def spending(
    warehouse: Warehouse, window: Window, *, shared: Sequence[SharedCost], table_for: TableFor, overridden: Covers
) -> Spending:
    """The metered usage of whole UTC days.

    Args:
        warehouse: the usage.
        window: it starts and ends at midnight UTC.
        shared: costs that several teams share.
        table_for: the price book without the operator's own prices.
        overridden: whether the operator has a price of his own for a model.
    """
    value = ListValue(warehouse, window, table_for, overridden)
    days = _days(warehouse, window, TOTAL, value)
    own: dict[str, Money] = {}
    for by_team in days.values():
        for team, use in by_team.items():
            own[team] = use.money.plus(own.get(team, Money()))
    return Spending(own, summed(share for one in shared for share in _shares(warehouse, window, one, days, value)))


def models_of(cube: Cube) -> set[PriceKey]:
    """The models that a cube of the dimensions provider and model has."""
    pairs = set(zip(cube.codes["provider"].tolist(), cube.codes["model"].tolist(), strict=True))
    return {PriceKey(cube.values["provider"][p], cube.values["model"][m]) for p, m in pairs}


class ListValue:
    """What usage would have cost at list price: the recorded cost, but for models that the operator prices himself."""

    def __init__(self, warehouse: Warehouse, month: Window, table_for: TableFor, overridden: Covers) -> None:
        self._warehouse, self._month = warehouse, month
        keys = models_of(warehouse.cube(month, bucket_seconds=DAY, dims=("provider", "model")))
        self._keys = sorted(key for key in keys if overridden(key))
        self._table = table_for(self._keys)

    def above_cost(self, scope: Scope) -> dict[tuple[int, str], int]:
        """List value less recorded cost by (day, team), for the part of the scope that has own prices."""
        found: dict[tuple[int, str], int] = defaultdict(int)
        for key in self._keys:
            whole = Scope.of(provider=key.provider, model=key.model)
            if not whole.overlaps(scope):
                continue
            records = self._warehouse.records(
                self._month, scope=Scope.of({**scope.as_dict(), **whole.as_dict()}), columns=_PRICED_BY
            )
            rows = zip(*(records.column(name).tolist() for name in _PRICED_BY), strict=True)
            for team, occurred_us, requests, tier, speed, cost, unpriced, *tokens in rows:
                a, b, c, d, e = tokens
                blank = UsageRecord(NONE, NONE, 0, occurred_us, key.provider, key.model, requests=requests)
                call = blank._replace(service_tier=tier, speed=speed, input_uncached=a, cache_read=b)
                listed = self._table.cost(call._replace(cache_write_5m=c, cache_write_1h=d, output=e))
                if listed is not None and not unpriced:
                    found[occurred_us // 10**6 // DAY, team] += listed - cost
        return found


def _days(warehouse: Warehouse, month: Window, scope: Scope, value: ListValue) -> dict[int, dict[str, DayUse]]:
    """Each day's usage by team."""
    cube = warehouse.cube(month, bucket_seconds=DAY, dims=("team",), scope=scope)
    above = value.above_cost(scope)
    found: dict[int, dict[str, DayUse]] = defaultdict(dict)
    for at in range(cube.rows):
        day, team = int(cube.bucket[at]) // DAY, cube.values["team"][cube.codes["team"][at]]
        cost, cash = int(cube.measures["cost_nanos"][at]), int(cube.measures["cash_nanos"][at])
        found[day][team] = DayUse(
            money=Money(cost + above.get((day, team), 0), cost, cash),
            requests=int(cube.measures["requests"][at]),
            tokens=sum(int(cube.measures[name][at]) for name in TOKEN_CLASSES),
        )
    return found


def _shares(
    warehouse: Warehouse, month: Window, shared: SharedCost, days: dict[int, dict[str, DayUse]], value: ListValue
) -> list[Share]:
    inside = _days(warehouse, month, shared.scope, value)
    return [share for day, used in sorted(inside.items()) for share in shares_of_day(shared, used, days[day])]
