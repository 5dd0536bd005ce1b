"""What a call may cost at most, and where that is set aside before it is made."""

import json
from collections.abc import Callable, Collection
from typing import Literal, Protocol

from store.errors import BadInput
from store.model.money import to_nanos
from store.model.ports import Clock
from store.model.prices import Price, PriceKey, PriceTable
from store.model.transcript import Purpose, Transcript
from store.model.usage import UsageRecord, to_us
from tools.reasoner.reply import Reply, usage_record
from tools.reasoner.settings import ReasonerSettings

PROVIDER_PROMPT_TOKENS = 3_000
"""What the provider adds to a request with tools and a schema, at most."""

PriceTableFor = Callable[[Collection[PriceKey]], PriceTable]
Refusal = Literal["incident_usd", "incident_tokens", "day_usd"]


class Purse(Protocol):
    """Keeps what was set aside and spent; a reservation that is never settled counts as spent."""

    def reserve(self, incident_id: str, *, purpose: Purpose, model: str, nanos: int, tokens: int) -> int | Refusal:
        """Set an amount aside; the reservation's number, or the cap that it would pass."""
        ...

    def settle(self, call: int, *, nanos: int, tokens: int) -> None:
        """Put what a call did cost in place of what was set aside."""
        ...

    def keep(self, transcript: Transcript) -> None:
        """Keep what was said."""
        ...


class Budget:
    """Prices requests at their most, and answers at what they cost, by the price book."""

    def __init__(self, settings: ReasonerSettings, *, prices: PriceTableFor, clock: Clock) -> None:
        """Look up what the configured models cost.

        Raises:
            BadInput: a model has no price, so that no cap could hold.
        """
        self._clock = clock
        self._prices = prices
        for name, model in (("model", settings.model), ("extractor_model", settings.extractor_model)):
            if self._price(model) is None:
                raise BadInput(
                    f"reasoner.{name}: no price is known for {model!r}, so its cost cannot be capped; name another, or "
                    "add its price under `prices:` (provider: anthropic)"
                )

    def most(self, request: dict[str, object]) -> tuple[int, int]:
        """(nano-USD, tokens) that a request can cost at most: a token is never shorter than a byte of text."""
        price = self._price(str(request["model"]))
        assert price is not None, "checked at the start"
        given = len(json.dumps(request).encode()) + PROVIDER_PROMPT_TOKENS
        answer = request["max_tokens"]
        assert isinstance(answer, int)
        rates = price.rates_for(given)
        dearest = rates.model_copy(update={"input_uncached": max(rates.input_uncached, rates.cache_write_5m)})
        return dearest.cost((given, 0, 0, 0, answer)), given + answer

    def record(self, reply: Reply, *, requested: str, purpose: Purpose, incident_id: str) -> UsageRecord:
        """The usage record of an answer, priced as the model that answered, else as the one that was asked."""
        now_us = to_us(self._clock())
        route = {"plan": "reasoner", "extract": "extractor"}[purpose]
        made = usage_record(reply, requested=requested, route=route, session=incident_id, now_us=now_us)
        keys = [PriceKey("anthropic", reply.model), PriceKey("anthropic", requested)]
        table = self._prices(keys)
        costs = (table.cost(made._replace(model=key.model)) for key in keys)
        return made._replace(cost_nanos=next((cost for cost in costs if cost is not None), None))

    def _price(self, model: str) -> Price | None:
        key = PriceKey("anthropic", model)
        return self._prices([key]).price_at(key, to_us(self._clock()))


def caps_of(settings: ReasonerSettings) -> dict[str, float | int]:
    """The caps as a transcript shows them."""
    return {
        "usd_per_incident": float(settings.usd_per_incident),
        "usd_per_day": float(settings.usd_per_day),
        "tokens_per_incident": settings.tokens_per_incident,
        "steps": settings.steps,
        "questions": settings.questions,
        "seconds": settings.seconds,
    }


def nanos_of_caps(settings: ReasonerSettings) -> tuple[int, int, int]:
    """(nano-USD per incident, tokens per incident, nano-USD per day)."""
    return to_nanos(settings.usd_per_incident), settings.tokens_per_incident, to_nanos(settings.usd_per_day)
