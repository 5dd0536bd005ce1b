"""A day's usage by what its rows have in common, and how shared usage is split among the teams that share it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from store.model.allocation import SharedCost, split
from store.model.ports import Warehouse
from store.model.usage import TOKEN_CLASSES, TOTAL, Cube, Scope, Window

DIMENSIONS = ("team", "app", "environment", "provider", "model", "service_tier", "speed")
_DAY_SECONDS = 86_400


class Group(NamedTuple):
    """What one day's requests of one combination of DIMENSIONS have in common; `shared`: the split it is a part of."""

    day: Window
    dims: dict[str, str]
    tokens: tuple[int, ...]
    cost_nanos: int
    cash_nanos: int
    requests: int
    unpriced: int
    shared: SharedCost | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The values of DIMENSIONS."""
        return tuple(self.dims[name] for name in DIMENSIONS)


def groups_of_day(warehouse: Warehouse, day: Window, shared: Sequence[SharedCost]) -> list[Group]:
    """The groups of a UTC day, sorted; a group that lies in a shared cost comes once for each team that shares it.

    Splitting loses nothing: tokens, requests and money of the parts add up to those of the whole.
    """
    groups = {group.key: group for group in _groups(warehouse, day, TOTAL)}
    parts: list[Group] = []
    of_shared = [(one, list(_groups(warehouse, day, one.scope))) for one in shared]
    for one, inside in of_shared:
        used = _own_use(groups.values(), inside, one)
        weights = one.weights(used)
        for group in inside:
            parts += _split(group, one, weights)
    # After all weights are known: what one shared cost takes out is not another's measure.
    for _, inside in of_shared:
        for group in inside:
            groups[group.key] = _less(groups[group.key], group)
    left = [group for group in groups.values() if group.requests or group.cost_nanos or any(group.tokens)]
    return sorted([*left, *parts], key=lambda group: (group.key, group.shared.name if group.shared else ""))


def _groups(warehouse: Warehouse, day: Window, scope: Scope) -> Iterator[Group]:
    cube: Cube = warehouse.cube(day, bucket_seconds=_DAY_SECONDS, dims=DIMENSIONS, scope=scope)
    for at in range(cube.rows):
        measures = {name: int(values[at]) for name, values in cube.measures.items()}
        yield Group(
            day=cube.window,
            dims={name: cube.values[name][cube.codes[name][at]] for name in cube.codes},
            tokens=tuple(measures[name] for name in TOKEN_CLASSES),
            cost_nanos=measures["cost_nanos"],
            cash_nanos=measures["cash_nanos"],
            requests=measures["requests"],
            unpriced=measures["unpriced"],
        )


def _own_use(groups: Iterable[Group], inside: Iterable[Group], shared: SharedCost) -> dict[str, int]:
    used: dict[str, int] = defaultdict(int)
    for sign, some in ((1, groups), (-1, inside)):
        for group in some:
            size = sum(group.tokens) if shared.method == "tokens" else group.requests
            used[group.dims["team"]] += sign * size
    return used


def _split(group: Group, shared: SharedCost, weights: Sequence[Decimal]) -> Iterator[Group]:
    amounts = (*group.tokens, group.cost_nanos, group.cash_nanos, group.requests)
    columns = zip(*(split(amount, weights) for amount in amounts), strict=True)
    for team, parts in zip(shared.targets, columns, strict=True):
        *tokens, cost, cash, requests = parts
        dims = {**group.dims, "team": team}
        # Whether anything has no price is true of each part, however few requests it gets.
        yield Group(group.day, dims, tuple(tokens), cost, cash, requests, group.unpriced, shared)


def _less(whole: Group, part: Group) -> Group:
    return whole._replace(
        tokens=tuple(a - b for a, b in zip(whole.tokens, part.tokens, strict=True)),
        cost_nanos=whole.cost_nanos - part.cost_nanos,
        cash_nanos=whole.cash_nanos - part.cash_nanos,
        requests=whole.requests - part.requests,
        unpriced=whole.unpriced - part.unpriced,
    )
