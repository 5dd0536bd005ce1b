"""Calls within one review: reserved before, tried again where that helps, settled after, and written down."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from store.model.transcript import Entry, Purpose
from store.model.usage import UsageRecord
from tools.reasoner.budget import Budget, Purse
from tools.reasoner.redaction import Redactor
from tools.reasoner.reply import Failed, Reply
from tools.reasoner.settings import ReasonerSettings

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 20.0


class Post(Protocol):
    """Sends one request, once."""

    def __call__(self, request: dict[str, object], *, seconds: float) -> Reply | Failed:
        """What came back."""
        ...


@dataclass(frozen=True)
class Timing:
    """Seconds of a clock that never jumps, how to wait, and a number in [0, 1) that spreads retries."""

    monotonic: Callable[[], float]
    pause: Callable[[float], None]
    jitter: Callable[[], float]


@dataclass
class Caller:
    """The only way from a review to the API."""

    incident_id: str
    settings: ReasonerSettings
    post: Post
    budget: Budget
    purse: Purse
    redactor: Redactor
    timing: Timing
    ends: float
    entries: list[Entry] = field(default_factory=list)
    records: list[UsageRecord] = field(default_factory=list)
    calls: int = 0
    cost_nanos: int = 0

    def call(self, purpose: Purpose, request: dict[str, object], *, news: object) -> Reply | Failed:
        """One answered call, or why there is none; `news` is the part of the request that was not sent before."""
        self._write("sent", purpose, news)
        last = Failed("late", "no time was left")
        for attempt in range(self.settings.attempts):
            if attempt and not self._wait(attempt, last.retry_after):
                return Failed("late", f"{last.says}, and no time was left to try again")
            left = self.ends - self.timing.monotonic()
            if left <= 0:
                return last
            answer = self._once(purpose, request, seconds=min(left, self.settings.call_seconds))
            if isinstance(answer, Reply):
                return answer
            last = answer
            if not answer.again:
                return answer
        return last

    def _once(self, purpose: Purpose, request: dict[str, object], *, seconds: float) -> Reply | Failed:
        model = str(request["model"])
        nanos, tokens = self.budget.most(request)
        ticket = self.purse.reserve(self.incident_id, purpose=purpose, model=model, nanos=nanos, tokens=tokens)
        if not isinstance(ticket, int):
            return Failed(ticket, _CAPS[ticket])
        self.calls += 1
        answer = self.post(request, seconds=seconds)
        if isinstance(answer, Failed):
            if answer.free:
                nanos = tokens = 0
            self.purse.settle(ticket, nanos=nanos, tokens=tokens)
            self.cost_nanos += nanos
            self._write("failed", purpose, answer.says, model=model, cost_nanos=nanos)
            return answer
        record = self.budget.record(answer, requested=model, purpose=purpose, incident_id=self.incident_id)
        cost = nanos if record.cost_nanos is None else record.cost_nanos
        self.purse.settle(ticket, nanos=cost, tokens=answer.tokens.input + answer.tokens.output)
        self.cost_nanos += cost
        self.records.append(record)
        self._write("answer", purpose, answer.content, reply=answer, model=answer.model, cost_nanos=cost)
        return answer

    def _wait(self, attempt: int, asked: float | None) -> bool:
        """Wait as long as the server asks, else longer each time; False where that would be too late."""
        grown = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * (0.5 + self.timing.jitter() / 2)
        seconds = grown if asked is None else asked + self.timing.jitter()
        if self.timing.monotonic() + seconds >= self.ends:
            return False
        self.timing.pause(seconds)
        return True

    def _write(
        self,
        kind: str,
        purpose: Purpose,
        value: object,
        *,
        reply: Reply | None = None,
        model: str = "",
        cost_nanos: int = 0,
    ) -> None:
        # ASCII only: what came with the traffic cannot move a terminal's cursor or turn its letters round.
        text = json.dumps(self.redactor.clean_all(value))
        self.entries.append(
            Entry.model_validate(
                {
                    "kind": kind,
                    "purpose": purpose,
                    "text": text,
                    "model": self.redactor.clean(model),
                    "input_tokens": reply.tokens.input if reply else 0,
                    "output_tokens": reply.tokens.output if reply else 0,
                    "cost_nanos": cost_nanos,
                }
            )
        )


_CAPS = {
    "incident_usd": "the cap in USD for one incident is reached",
    "incident_tokens": "the cap in tokens for one incident is reached",
    "day_usd": "the cap in USD for one day is reached",
}
