"""How the company's apps meet a gateway's rules: what is refused, changed, tried again, or goes around the rule."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from zlib import crc32

from evals.world.calls import failed
from evals.world.company import AppSpec
from evals.world.gateway_enforcer import Admission, Request
from evals.world.gateway_state import GatewayState
from store.model.usage import NONE, TOKEN_CLASSES, Scope, UsageRecord, from_us

_COUNTED = (*TOKEN_CLASSES, "reasoning")
AGAIN_US = 300_000
"""A client that hammers does so after this many microseconds."""
THINKS: dict[str, float] = {"minimal": 0.05, "low": 0.3, "medium": 0.8, "high": 2.0}
"""Tokens of thinking for each token of the answer that is seen, at most, by effort."""


class Gate(Protocol):
    """The part of a gateway that traffic meets."""

    def admit(self, request: Request) -> Admission:
        """What becomes of one request; requests come in order of time."""
        ...

    def state(self) -> GatewayState:
        """The rules that it holds."""
        ...


class Clients:
    """All apps as the gateway's callers; remembers their open sessions and what the gateway has cached for them."""

    def __init__(self, apps: Mapping[str, AppSpec], counts: Mapping[tuple[str, str], float] | None = None) -> None:
        """`counts`: how many tokens a model of the app makes of what its usual ones make one of, by (app, model)."""
        self._apps = apps
        self._counts = counts or {}
        self._reopened: dict[str, int] = {}
        self._cached_us: dict[tuple[str, str, str], int] = {}
        self._aliased: set[tuple[str, str]] = set()

    def meet(self, records: Sequence[UsageRecord], gate: Gate, *, until_us: int) -> list[UsageRecord]:
        """The records as they are once the gateway has had its say, in order of time.

        The records come in order of time, later than those of the call before. What is tried again ends before
        `until_us`.
        """
        slots = [slot for slot, rule in gate.state().rules if rule.value]
        if not slots:
            return list(records)
        hit = [(app.name, slot) for app in self._apps.values() for slot in slots if _could_hit(slot[1], app)]
        touched = {name for name, _ in hit}
        self._aliased = {(name, from_model) for name, (kind, _, from_model) in hit if kind == "set_model_alias"}
        out: list[UsageRecord] = []
        for record in records:
            if record.app in touched:
                out.extend(self._call(record, gate, until_us - 1))
            else:
                out.append(record)
        return sorted(out, key=lambda record: record.occurred_us)

    def _call(self, record: UsageRecord, gate: Gate, last_us: int) -> Iterable[UsageRecord]:
        client = self._apps[record.app].client
        record = self._in_session(record)
        answer = gate.admit(_request(record))
        if answer.verdict == "ok":
            return self._answered(record, answer, last_us)
        refused = _refused(record, answer)
        if client.on_refusal == "drop":
            return [refused]
        if client.on_refusal == "fresh_session" and record.session_id != NONE:
            return [refused, *self._elsewhere(record, gate, last_us)]
        return [refused, *self._hammered(record, gate, client.hammers, last_us)]

    def _hammered(self, record: UsageRecord, gate: Gate, times: int, last_us: int) -> Iterable[UsageRecord]:
        for n in range(1, times + 1):
            again = _again(record, n, last_us)
            answer = gate.admit(_request(again))
            if answer.verdict == "ok":
                yield from self._answered(again, answer, last_us)
                return
            yield _refused(again, answer)

    def _elsewhere(self, record: UsageRecord, gate: Gate, last_us: int) -> Iterable[UsageRecord]:
        """The client gives up the session, not the work."""
        origin = record.session_id.partition("+")[0]
        self._reopened[origin] = self._reopened.get(origin, 0) + 1
        fresh = self._in_session(record._replace(record_id=f"{record.record_id}.f", session_id=origin))
        answer = gate.admit(_request(fresh))
        return self._answered(fresh, answer, last_us) if answer.verdict == "ok" else [_refused(fresh, answer)]

    def _in_session(self, record: UsageRecord) -> UsageRecord:
        times = self._reopened.get(record.session_id)
        return record if times is None else record._replace(session_id=f"{record.session_id}+{times}")

    def _answered(self, record: UsageRecord, answer: Admission, last_us: int) -> list[UsageRecord]:
        client = self._apps[record.app].client
        before = record
        if self._is_swapped(record, answer):
            if crc32(record.record_id.encode()) % 1000 < 1000 * client.fails_on.get(answer.model, 0.0):
                return _cannot_work(record, answer, client.hammers, last_us)
            record = self._counted(record, answer.model)
        if answer.cache_ttl is not None:
            record = self._cached(record, answer.cache_ttl, client.stable_share)
        if answer.effort is not None:
            record = _thinking(record, THINKS[answer.effort])
        if answer.max_tokens is not None and record.output > answer.max_tokens:
            kept = answer.max_tokens
            record = record._replace(output=kept, reasoning=min(record.reasoning, kept), finish_reason="length")
        return [record if record == before else record._replace(remedy_id=answer.remedy_id)]

    def _is_swapped(self, record: UsageRecord, answer: Admission) -> bool:
        """Whether an alias of ours chose a model other than the one that would have answered.

        Where a fault answers with another model than was asked for, an alias to the model asked for changes it.
        """
        ours = (record.app, record.requested_model) in self._aliased and answer.remedy_id != NONE
        return (ours or answer.model != record.requested_model) and answer.model != record.model

    def _counted(self, record: UsageRecord, model: str) -> UsageRecord:
        """The call answered by another model, whose tokenizer counts it."""
        now, then = (self._counts.get((record.app, name), 1.0) for name in (record.model, model))
        if now == then:
            return record._replace(model=model)
        counts: dict[str, Any] = {name: int(getattr(record, name) * then / now) for name in _COUNTED}
        return record._replace(model=model, **counts)

    def _cached(self, record: UsageRecord, ttl: str, stable_share: float) -> UsageRecord:
        """The call's input with the gateway's lifetime: at the app's own breakpoints, which stay where they are.

        An app that sets none gets one behind the part of its system prompt that stays equal. A prefix that changes with
        every call is read by none of them, whatever its lifetime.
        """
        tokens = record.input_uncached + record.cache_read + record.cache_write_5m + record.cache_write_1h
        if ttl == "off":
            return record._replace(input_uncached=tokens, cache_read=0, cache_write_5m=0, cache_write_1h=0)
        own = record.cache_read + record.cache_write_5m + record.cache_write_1h
        kept = own or int(record.prefix_tokens * stable_share)
        if kept == 0:
            return record
        key = (record.app, record.model, record.prefix_hash if own else NONE)
        since_us = record.occurred_us - self._cached_us.get(key, 0)
        self._cached_us[key] = record.occurred_us
        warm = since_us < (3_600_000_000 if ttl == "1h" else 300_000_000)
        # Of a call that the app's own cache served, the part that its session had cached is known.
        read = (record.cache_read or min(kept, record.prefix_tokens)) if warm else 0
        return record._replace(
            input_uncached=tokens - kept,
            cache_read=read,
            cache_write_5m=kept - read if ttl == "5m" else 0,
            cache_write_1h=kept - read if ttl == "1h" else 0,
            prefix_hash=record.prefix_hash if own else f"{crc32(record.app.encode()):016x}",
            prefix_tokens=record.prefix_tokens if own else kept,
        )


def _thinking(record: UsageRecord, most: float) -> UsageRecord:
    """The call with at most so much thinking for each token of the answer that is seen."""
    seen = record.output - record.reasoning
    reasoning = min(record.reasoning, int(most * seen))
    return record._replace(output=seen + reasoning, reasoning=reasoning)


def _could_hit(target: Scope, app: AppSpec) -> bool:
    """Whether the target may hold traffic of the app, by what the app's traffic always has."""
    known = {"team": (app.team,), "app": (app.name,), "environment": (app.environment,), "api_key_id": app.key_ids}
    return all(value in known[name] for name, value in target.dims if name in known)


def _request(record: UsageRecord) -> Request:
    return Request(
        at=from_us(record.occurred_us),
        team=record.team,
        app=record.app,
        environment=record.environment,
        api_key_id=record.api_key_id,
        session_id=record.session_id,
        end_user=record.end_user,
        model=record.requested_model,
        tokens=record.input_uncached + record.cache_read + record.cache_write_5m + record.cache_write_1h,
        call_id=record.record_id,
    )


def _refused(record: UsageRecord, answer: Admission) -> UsageRecord:
    refused = failed(record, suffix="", at_us=record.occurred_us, code=429, attempt=record.attempt)
    return refused._replace(status="refused", finish_reason=NONE, latency_ms=5, remedy_id=answer.remedy_id)


def _again(record: UsageRecord, times: int, last_us: int) -> UsageRecord:
    at = min(record.occurred_us + times * AGAIN_US, last_us)
    return record._replace(
        record_id=f"{record.record_id}.h{times}", observed_us=at, occurred_us=at, attempt=record.attempt + times
    )


def _cannot_work(record: UsageRecord, answer: Admission, times: int, last_us: int) -> list[UsageRecord]:
    """The model that answers refuses the request as malformed, as often as the client tries."""
    tries = [record, *(_again(record, n, last_us) for n in range(1, times + 1))]
    return [
        failed(one, suffix="", at_us=one.occurred_us, code=400, attempt=one.attempt)._replace(
            model=answer.model, remedy_id=answer.remedy_id, latency_ms=400
        )
        for one in tries
    ]
