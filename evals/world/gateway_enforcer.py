"""The enforcing side of the simulated gateway: what becomes of one request under the rules that are in force."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from zlib import crc32

from evals.world.gateway_state import Rule, Slot
from store.model.remedy import ActionKind
from store.model.usage import NONE


class Request(NamedTuple):
    """One call as it reaches the gateway; `tokens` is what the gateway counts against a token limit.

    `call_id` draws a canary's share where there is no session.
    """

    at: datetime
    team: str = NONE
    app: str = NONE
    environment: str = NONE
    api_key_id: str = NONE
    session_id: str = NONE
    end_user: str = NONE
    model: str = NONE
    tokens: int = 0
    call_id: str = NONE


class Admission(NamedTuple):
    """What the gateway does with a request.

    `model` answers; `cache_ttl` is where a cache breakpoint is put ("off": removed, None: as the caller wished);
    `max_tokens` caps the output, `effort` the thinking; `remedy_id` is the marker of the rule that refused or changed
    it.
    """

    verdict: Literal["ok", "refused"]
    model: str
    cache_ttl: str | None = None
    max_tokens: int | None = None
    remedy_id: str = NONE
    effort: str | None = None


class _Live:
    """One rule in force, with its counters; they start when the rule takes effect."""

    def __init__(self, slot: Slot, rule: Rule, starts_at: datetime) -> None:
        self.kind, self.scope, self.from_model = slot
        self.dims = self.scope.dims
        self.rule = rule
        self.marker = rule.marker or NONE
        self.starts_at = starts_at
        self.minute: datetime | None = None
        self.requests = 0
        self.tokens = 0
        self.sessions: dict[str, int] = {}

    def meets(self, request: Request) -> bool:
        """Whether the request is in the target, the rule's time has come, and its dimensions can be told."""
        return request.at >= self.starts_at and all(getattr(request, name, None) == value for name, value in self.dims)

    def number(self, name: str) -> int | None:
        value = self.rule.value.get(name)
        return value if isinstance(value, int) else None

    def text(self, name: str) -> str | None:
        value = self.rule.value.get(name)
        return value if isinstance(value, str) else None

    def refuses(self, request: Request) -> bool:
        """Whether a block, a session cap or a rate limit stands in the way; nothing is counted yet."""
        if self.kind == "block_key":
            return self.rule.value.get("blocked") is True
        if self.kind == "set_session_cap":
            cap = self.number("max_calls")
            return cap is not None and self.sessions.get(request.session_id, 0) >= cap
        if self.kind == "set_rate_limit":
            self._turn(request.at)
            calls, tokens = self.number("requests_per_minute"), self.number("tokens_per_minute")
            full = calls is not None and self.requests >= calls
            return full or (tokens is not None and self.tokens + request.tokens > tokens)
        if self.kind == "set_context_cap":
            longest = self.number("max_input_tokens")
            return longest is not None and request.tokens > longest
        return False

    def swaps(self, request: Request) -> bool:
        """Whether the request's model is another's now: of a canary for its share of the sessions."""
        if self.kind != "set_model_alias" or self.from_model != request.model:
            return False
        percent = self.number("percent")
        lot = request.session_id if request.session_id != NONE else request.call_id
        return percent is None or crc32(f"{self.marker} {lot}".encode()) % 100 < percent

    def count(self, request: Request) -> None:
        """Count an admitted request."""
        if self.kind == "set_session_cap":
            self.sessions[request.session_id] = self.sessions.get(request.session_id, 0) + 1
        elif self.kind == "set_rate_limit":
            self.requests += 1
            self.tokens += request.tokens

    def _turn(self, at: datetime) -> None:
        minute = at.replace(second=0, microsecond=0)
        if minute != self.minute:
            self.minute, self.requests, self.tokens = minute, 0, 0


class Enforcer:
    """Applies the rules to requests, the most specific rule of a kind first. Calls without a session are not capped."""

    def __init__(self, propagation: timedelta) -> None:
        self._propagation = propagation
        self._live: list[_Live] = []

    def load(self, rules: Mapping[Slot, Rule]) -> None:
        """Take over the rules; one that did not change keeps its counters."""
        known = {(live.kind, live.scope, live.from_model, live.rule.version): live for live in self._live}
        self._live = [
            known.get((*slot, rule.version)) or _Live(slot, rule, rule.set_at + self._propagation)
            for slot, rule in rules.items()
            if rule.value and rule.enforced
        ]
        self._live.sort(key=lambda live: -len(live.dims))

    def admit(self, request: Request) -> Admission:
        """Refuse, or let through with the changes that the rules ask for; a refused request counts nowhere."""
        if not self._live:
            return Admission("ok", request.model)
        met = [live for live in self._live if live.meets(request) and _tellable(live.kind, request)]
        for live in met:
            if live.refuses(request):
                return Admission("refused", request.model, remedy_id=live.marker)
        model, cache_ttl, max_tokens, effort, by = request.model, None, None, None, NONE
        for live in met:
            live.count(request)
            if live.swaps(request) and model == request.model:
                model, by = live.text("to_model") or model, live.marker
            elif live.kind == "set_prompt_cache" and cache_ttl is None:
                cache_ttl, by = live.text("ttl"), live.marker
            elif live.kind == "set_output_cap":
                cap = live.number("max_tokens")
                if cap is not None and (max_tokens is None or cap < max_tokens):
                    max_tokens, by = cap, live.marker
            elif live.kind == "set_reasoning_effort" and effort is None:
                effort, by = live.text("effort"), live.marker
        return Admission("ok", model, cache_ttl, max_tokens, by, effort)


def _tellable(kind: ActionKind, request: Request) -> bool:
    return kind != "set_session_cap" or request.session_id != NONE
