"""The model that reviews findings, as the configuration names it: its key, its caps in the ledger, its own usage."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from agent.settings import Settings
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.ledger.model_calls import CallCaps
from store.model.money import to_usd
from store.model.ports import Clock, Warehouse
from store.model.transcript import Purpose, Transcript
from store.model.usage import Scope, UsageRecord, floor_to
from store.prices import PriceBook
from tools.reasoner.budget import Budget, Refusal, nanos_of_caps
from tools.reasoner.caller import Post, Timing
from tools.reasoner.inquiry import Inquiry, Opinion
from tools.reasoner.reasoner import Prompts, Reasoner
from tools.reasoner.redaction import Redactor
from tools.reasoner.settings import ReasonerSettings

OWN = Scope.of(app="bursar")
"""Bursar's own calls: shown like all others, and never acted upon."""

TIMING = Timing(monotonic=time.monotonic, pause=time.sleep, jitter=random.random)


@dataclass(frozen=True)
class LedgerPurse:
    """Caps that hold over restarts and replicas."""

    ledger: Ledger
    caps: CallCaps

    def reserve(self, incident_id: str, *, purpose: Purpose, model: str, nanos: int, tokens: int) -> int | Refusal:
        """Set an amount aside, or say which cap it would pass."""
        return self.ledger.reserve_model_call(
            incident_id, purpose=purpose, model=model, nanos=nanos, tokens=tokens, caps=self.caps
        )

    def settle(self, call: int, *, nanos: int, tokens: int) -> None:
        """Put what it did cost in its place."""
        self.ledger.settle_model_call(call, nanos=nanos, tokens=tokens)

    def keep(self, transcript: Transcript) -> None:
        """Keep what was said."""
        self.ledger.save_transcript(transcript)


@dataclass(frozen=True)
class Reviewer:
    """The reasoner with what must be closed at the end."""

    review: Callable[[Inquiry], Opinion]
    close: Callable[[], None]
    min_excess_nanos: int


def open_reviewer(
    settings: Settings, *, ledger: Ledger, warehouse: Warehouse, prices: PriceBook, clock: Clock
) -> Reviewer | None:
    """The reviewer that `reasoner:` names; None where it is not configured. It makes no call yet.

    Raises:
        BadInput: a model has no known price.
    """
    if settings.reasoner is None:
        return None
    # Imported here: the provider's library takes a second, and only who calls a model pays for it.
    from tools.reasoner.messages import MessagesApi

    api = MessagesApi(settings.reasoner)

    def count(records: Sequence[UsageRecord]) -> None:
        warehouse.append(records)

    reasoner = make_reasoner(
        settings.reasoner,
        post=api.post,
        ledger=ledger,
        prices=prices,
        clock=clock,
        count=count if settings.reasoner.record_usage else lambda _: None,
        secrets=secrets_of(settings),
    )
    return Reviewer(reasoner, api.close, int(settings.reasoner.min_excess_usd * 10**9))


def make_reasoner(
    settings: ReasonerSettings,
    *,
    post: Post,
    ledger: Ledger,
    prices: PriceBook,
    clock: Clock,
    count: Callable[[Sequence[UsageRecord]], object],
    secrets: Sequence[str] = (),
    timing: Timing = TIMING,
) -> Reasoner:
    """The reasoner around one way to make a call.

    Raises:
        BadInput: a model has no known price.
    """
    incident_nanos, incident_tokens, day_nanos = nanos_of_caps(settings)
    return Reasoner(
        settings=settings,
        prompts=read_prompts(),
        post=post,
        budget=Budget(settings, prices=prices.table_for, clock=clock),
        purse=LedgerPurse(ledger, CallCaps(incident_nanos, incident_tokens, day_nanos)),
        redactor=Redactor(secrets=[*secrets, settings.api_key.get_secret_value()], personal=settings.redact),
        timing=timing,
        clock=clock,
        newest=lambda limit: ledger.review_outcomes(limit=limit),
        count=count,
    )


def read_prompts() -> Prompts:
    """The texts of agent/prompts."""
    folder = files("agent.prompts")
    planner, extractor = (folder.joinpath(f"{name}.md").read_text("utf-8") for name in ("planner", "extractor"))
    return Prompts(planner, extractor)


def secrets_of(part: BaseModel) -> list[str]:
    """Every secret of the configuration, and passwords within its URLs."""
    found: list[str] = []
    for value in dict(part).values():
        if isinstance(value, SecretStr):
            found.append(value.get_secret_value())
        elif isinstance(value, BaseModel):
            found.extend(secrets_of(value))
        elif isinstance(value, str) and "://" in value:
            found.extend(filter(None, [urlsplit(value).password]))
        elif isinstance(value, tuple):
            found.extend(one for item in value if isinstance(item, BaseModel) for one in secrets_of(item))
    return found


def reviewer_state(settings: Settings, *, ledger: Ledger, prices: PriceBook, clock: Clock) -> str | None:
    """For `bursar check --online`: "ok, ..." with today's spend, or what is wrong; None where it is not configured."""
    if settings.reasoner is None:
        return None
    try:
        Budget(settings.reasoner, prices=prices.table_for, clock=clock)
    except BadInput as error:
        return str(error)
    spent = ledger.model_nanos(since=floor_to(clock(), 86_400))
    caps = f"${to_usd(spent):.2f} of ${settings.reasoner.usd_per_day} spent today"
    return f"ok, {settings.reasoner.model} at {settings.reasoner.base_url}, {caps}; no call is made to check"
