"""What the operator's word changes of usage on its way in: whose it is, and what a foreign currency was worth."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from store.model.allocation import ALLOCATED, AllocationRule
from store.model.currency import CurrencyRate, usd_nanos_of
from store.model.usage import NONE, UsageRecord, from_us
from store.model.usage_batch import ABSENT, Coded, Tags, UsageBatch

CURRENCY, AMOUNT = "billing_currency", "billed_cost"
"""The tags of a billed row in another currency than USD."""

_MOST_REMEMBERED = 100_000


class Amendment:
    """Applies allocation rules and dated currency rates. Equal usage is amended equally, as a record or in a batch."""

    def __init__(self, rules: Sequence[AllocationRule] = (), rates: Sequence[CurrencyRate] = ()) -> None:
        self._rules, self._rates = tuple(rules), tuple(rates)
        names = sorted({name for rule in rules for name in rule.when})
        self._columns = tuple(name for name in names if not name.startswith("tags."))
        self._tags = tuple(name.removeprefix("tags.") for name in names if name.startswith("tags."))
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def records(self, records: Sequence[UsageRecord]) -> list[UsageRecord]:
        """The records as the operator has them, in the same order."""
        return [self.record(record) for record in records] if self._rules or self._rates else list(records)

    def record(self, record: UsageRecord) -> UsageRecord:
        """One record as the operator has it."""
        if self._rules:
            values = tuple([getattr(record, name) for name in self._columns])
            sets = self._sets(values, record.tags)
            if any(getattr(record, name) != value for name, value in sets.items()):
                record = record._replace(
                    team=sets.get("team", record.team),
                    app=sets.get("app", record.app),
                    environment=sets.get("environment", record.environment),
                )
        if self._rates and record.billed_nanos is None and record.period_seconds:
            record = record._replace(billed_nanos=self._usd(record.tags, record.occurred_us))
        return record

    def batch(self, batch: UsageBatch) -> UsageBatch:
        """The same for columns."""
        if self._rules and batch.rows:
            batch = self._allocated(batch)
        if self._rates and batch.tags is not None:
            batch = self._converted(batch, batch.tags)
        return batch

    def _allocated(self, batch: UsageBatch) -> UsageBatch:
        columns = [_values(batch, name) for name in self._columns]
        rows = list(zip(*columns, strict=True)) if columns else [()] * batch.rows
        tags: Sequence[Tags] = batch.tags if batch.tags is not None and self._tags else [()] * batch.rows
        found = [self._sets(values, own) for values, own in zip(rows, tags, strict=True)]
        return batch.with_texts(
            {
                name: [sets.get(name, was) for sets, was in zip(found, _values(batch, name), strict=True)]
                for name in ALLOCATED
                if any(name in rule.sets for rule in self._rules)
            }
        )

    def _converted(self, batch: UsageBatch, tags: Sequence[Tags]) -> UsageBatch:
        billed, occurred = batch.number("billed_nanos").copy(), batch.number("occurred_us")
        for at in np.flatnonzero((billed == ABSENT) & (batch.number("period_seconds") > 0)).tolist():
            nanos = self._usd(tags[at], int(occurred[at]))
            billed[at] = ABSENT if nanos is None else nanos
        return batch.with_numbers({"billed_nanos": billed})

    def _sets(self, values: tuple[str, ...], tags: Tags) -> dict[str, str]:
        """What the first matching rule sets; remembered, because most calls are like others."""
        own = dict(tags) if self._tags else {}
        key = (*values, *(own.get(name, NONE) for name in self._tags))
        if key not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            names = (*self._columns, *(f"tags.{name}" for name in self._tags))
            said = dict(zip(names, key, strict=True))
            matching = next((rule for rule in self._rules if rule.matches(said)), None)
            self._known[key] = matching.sets if matching else {}
        return self._known[key]

    def _usd(self, tags: Tags, occurred_us: int) -> int | None:
        said = dict(tags)
        if CURRENCY not in said or AMOUNT not in said:
            return None
        try:
            amount = Decimal(said[AMOUNT])
            return usd_nanos_of(amount, said[CURRENCY], from_us(occurred_us), self._rates)
        except (ArithmeticError, ValueError):
            return None  # no number: it was kept as the text that it is, and is named as not converted


AS_SAID = Amendment()
"""Changes nothing."""


def _values(batch: UsageBatch, name: str) -> Sequence[str]:
    column = batch.text(name)
    if isinstance(column, str):
        return [column] * batch.rows
    if isinstance(column, Coded):
        return [column.values[code] for code in column.codes.tolist()]
    return column
