"""What the two sides hold, hour by hour: the gateway's usage, and what the reference sources of each provider say.

Of several reference sources that count one provider's tokens, the one that reports the most days is compared with, and
likewise for its bill: two reports of the same usage are not two usages.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from agent.reconciling.amounts import NOTHING, Amounts
from store.model.model_name import plain_model
from store.model.usage import TOKEN_CLASSES, Cube

HOUR = 3600
DAY = 86_400
METERED_DIMS = ("team", "provider", "model")
REFERENCE_DIMS = ("source", "team", "provider", "model", "operation")
COST_REPORT = "cost_report"
"""The operation of rows that are money without tokens."""

_LEAST_DAYS = 3


class Place(NamedTuple):
    """Whose usage, of what, in which hour (epoch seconds of its start)."""

    team: str
    provider: str
    model: str
    hour: int


class Reported(NamedTuple):
    """One provider's reference rows of one kind, from one source.

    `offset`: how many seconds after midnight UTC its days begin, within half a day either way. `until`: the end of the
    newest bucket. `by_month`: it reports whole months, so that the first day stands for all of them.
    """

    source: str
    rows: dict[Place, Amounts]
    offset: int
    until: int
    by_month: bool = False

    def day_of(self, hour: int) -> int:
        """The day (its number since the epoch) that the provider counts the hour in."""
        return _first_of_month(hour) // DAY if self.by_month else (hour - self.offset) // DAY

    def utc_day(self, hour: int) -> int:
        """The day that the hour is set against: its UTC day, or the first of its month."""
        return _first_of_month(hour) // DAY if self.by_month else hour // DAY


def gateway_rows(cube: Cube) -> dict[Place, Amounts]:
    """The metered usage of a cube of METERED_DIMS."""
    rows: dict[Place, Amounts] = {}
    for names, hour, amounts in _rows(cube, METERED_DIMS):
        team, provider, model = names
        place = Place(team, provider, plain_model(model), hour)
        rows[place] = rows.get(place, NOTHING).plus(amounts)
    return rows


def provider_usage(cube: Cube) -> tuple[dict[str, Reported], list[tuple[str, str]]]:
    """By provider what it counts in tokens; and the (provider, source) pairs passed over as a second report."""
    return _chosen(_by_source(cube, money=False))


def invoices(cube: Cube) -> tuple[dict[str, Reported], list[tuple[str, str]]]:
    """By provider what it bills; and the (provider, source) pairs passed over as a second report."""
    found = _by_source(cube, money=True)
    billing = {key: rows for key, rows in found.items() if any(amounts.billed_nanos for amounts, _ in rows.values())}
    return _chosen({key: _bill_rows(rows) for key, rows in billing.items()})


_Found = dict[Place, tuple[Amounts, bool]]
"""Amounts, and whether they come from a cost report."""


def _by_source(cube: Cube, *, money: bool) -> dict[tuple[str, str], _Found]:
    found: dict[tuple[str, str], _Found] = defaultdict(dict)
    for names, hour, amounts in _rows(cube, REFERENCE_DIMS):
        source, team, provider, model, operation = names
        report = operation == COST_REPORT
        if not money and (report or not any(amounts.tokens)):
            continue
        place = Place(team, provider, plain_model(model), hour)
        known, was_report = found[provider, source].get(place, (NOTHING, False))
        if money and report and not was_report:
            known = NOTHING  # tokens of a usage report of the same source are no line of the bill
        if money and was_report and not report:
            continue
        found[provider, source][place] = (known.plus(amounts), report or was_report)
    return found


def _bill_rows(rows: _Found) -> _Found:
    """The cost report where the source has one, else (FOCUS) every row."""
    if any(report for _, report in rows.values()):
        return {place: found for place, found in rows.items() if found[1]}
    return rows


def _chosen(found: Mapping[tuple[str, str], _Found]) -> tuple[dict[str, Reported], list[tuple[str, str]]]:
    chosen: dict[str, Reported] = {}
    days: dict[str, int] = {}
    passed_over: list[tuple[str, str]] = []
    for (provider, source), rows in sorted(found.items()):
        reported = len({place.hour // DAY for place in rows})
        if provider in chosen and reported <= days[provider]:
            passed_over.append((provider, source))
            continue
        if provider in chosen:
            passed_over.append((provider, chosen[provider].source))
        days[provider] = reported
        chosen[provider] = _reported(source, {place: amounts for place, (amounts, _) in rows.items()})
    return chosen, sorted(passed_over)


def _reported(source: str, rows: dict[Place, Amounts]) -> Reported:
    hours = {place.hour for place in rows}
    of_day = {hour % DAY for hour in hours}
    daily = len(of_day) == 1 and (of_day == {0} or len(hours) >= _LEAST_DAYS)
    if all(_first_of_month(hour) == hour for hour in hours):
        return Reported(source, rows, offset=0, until=_first_of_month(max(hours) + 32 * DAY), by_month=True)
    offset = of_day.pop() if daily else 0
    return Reported(
        source=source,
        rows=rows,
        offset=offset - DAY if offset > DAY // 2 else offset,
        until=max(hours) + (DAY if daily else HOUR),
    )


def _first_of_month(hour: int) -> int:
    first = datetime.fromtimestamp(hour, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(first.timestamp())


def _rows(cube: Cube, dims: tuple[str, ...]) -> list[tuple[list[str], int, Amounts]]:
    names = [[cube.values[dim][code] for code in cube.codes[dim].tolist()] for dim in dims]
    measures = {name: values.tolist() for name, values in cube.measures.items()}
    tokens = zip(*(measures[name] for name in TOKEN_CLASSES), strict=True)
    rest = zip(*(measures[name] for name in _MONEY), strict=True)
    return [
        (list(who), hour, Amounts(used, *others))
        for who, hour, used, others in zip(zip(*names, strict=True), cube.bucket.tolist(), tokens, rest, strict=True)
    ]


_MONEY = ("requests", "cost_nanos", "cash_nanos", "billed_nanos", "unpriced")
