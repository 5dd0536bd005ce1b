"""The guard's life without a proxy: the copy on disk, Bursar away, the spool, and its own faults."""

import asyncio
import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.guard.control import CEILING, TOKEN, Json, Signer, payload, rule
from tests.tools.guard.test_guard_rules import BIG, BODY
from tools.guard import bursar_guard as g

NOW = datetime(2026, 11, 25, 12, 0, 10, tzinfo=UTC)
SIGNER = Signer()
USER = SimpleNamespace(team_alias="search", metadata={"app": "indexer"}, api_key="a" * 64, key_alias="k")
CAP = rule("set_session_cap", {"team": "search"}, remedy="rem-cap", max_calls=2)
CAP["expires_at"] = "2026-11-26T00:00:00Z"


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


class Served(g.Models):
    """A proxy that serves every model, all of them able ones."""

    def served(self, name: str) -> bool:
        """Whether it does."""
        return bool(name)

    def info(self, name: str) -> dict[str, Any] | None:
        """What it can do."""
        return {**BIG, "name": name}


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A complete configuration."""
    ceiling = folder / "ceiling.yaml"
    folder.mkdir(exist_ok=True)
    ceiling.write_text(CEILING)
    return {
        "BURSAR_URL": "http://127.0.0.1:9",
        "BURSAR_GUARD_TOKEN": TOKEN,
        "BURSAR_GUARD_PUBLIC_KEY": SIGNER.public_key,
        "BURSAR_GUARD_DIR": str(folder / "rules"),
        "BURSAR_GUARD_CEILING": str(ceiling),
        **more,
    }


def guard_in(folder: Path, clock: Time, **more: str) -> g.Guard:
    """A guard with that configuration."""
    return g.Guard(g.Config.from_environment(environment(folder, **more)), clock=clock, models=Served(clock))


def envelope(sequence: int, *rules: Json, seconds: float = 3600) -> Json:
    """A signed set of Bursar."""
    return SIGNER.rules(payload(sequence, list(rules), now=NOW, seconds=seconds))


def body(text: str = "hi", session: str = "s") -> Json:
    """A chat request as LiteLLM hands it to the hook."""
    return {
        "model": "claude-big",
        "messages": [{"role": "user", "content": text}],
        "metadata": {},
        "litellm_session_id": session,
        "litellm_call_id": f"call-{len(text)}",
    }


def log_of(data: Json, **more: Any) -> Json:
    """What LiteLLM logs of that request."""
    logged = {"id": data["litellm_call_id"], "litellm_call_id": data["litellm_call_id"], "status": "success"}
    return {**logged, "total_tokens": 5, "messages": data["messages"], "metadata": data["metadata"], **more}


# --- on disk -------------------------------------------------------------------------------------------------------


def test_rules_survive_a_restart_while_bursar_is_away(tmp_path: Path) -> None:
    """The next process starts with the signed copy, until it expires."""
    clock = Time()
    guard_in(tmp_path, clock).book.accept(envelope(5, CAP))
    again = guard_in(tmp_path, clock)
    assert [one.rule.remedy_id for one in again.book.live()] == ["rem-cap"]
    clock.now += 3600
    assert again.book.live() == ()
    assert guard_in(tmp_path, clock).book.in_force() is None


def test_an_older_set_is_refused_even_after_a_restart_and_an_expiry(tmp_path: Path) -> None:
    """A replayed set cannot bring a returned rule back."""
    clock = Time()
    guard_in(tmp_path, clock).book.accept(envelope(5, seconds=60))
    clock.now += 61
    again = guard_in(tmp_path, clock)
    with pytest.raises(g.Refused, match="sequence 4 is older than 5"):
        again.book.accept(envelope(4, CAP))
    again.book.accept(envelope(6, CAP))
    assert len(again.book.live()) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"payload": "{}", "signature": "AAAA"}', "\x00"])
def test_a_damaged_copy_is_not_used(tmp_path: Path, text: str) -> None:
    """The guard starts without rules, and without a fault."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.json").write_text(text)
    assert guard_in(tmp_path, Time()).book.in_force() is None


def test_counters_live_on_when_a_set_is_issued_again(tmp_path: Path) -> None:
    """A session that used up its calls does not get new ones with every re-issue."""
    guard = guard_in(tmp_path, Time())
    guard.book.accept(envelope(1, CAP))
    said = [guard.before(USER, body("x" * n), "acompletion") for n in range(2)]
    guard.book.accept(envelope(2, CAP, rule("set_output_cap", {"team": "ads"}, max_tokens=99)))
    assert said == [None, None]
    assert guard.before(USER, body("2"), "acompletion") is not None


def test_a_ceiling_that_is_narrowed_takes_rules_out_of_force(tmp_path: Path) -> None:
    """The file is read again with every poll; a broken one allows nothing."""
    guard = guard_in(tmp_path, Time())
    guard.book.accept(envelope(1, CAP))
    (tmp_path / "ceiling.yaml").write_text("kinds: [")
    guard.book.refresh()
    assert guard.book.live() == ()
    assert "cannot be used" in guard.book.refused[0]["why"]
    (tmp_path / "ceiling.yaml").write_text(CEILING)
    guard.book.refresh()
    assert len(guard.book.live()) == 1


@pytest.mark.parametrize("word", ["1", "true", "ON"])
def test_the_off_switch_may_be_a_word(tmp_path: Path, word: str) -> None:
    """A variable instead of a file."""
    guard = guard_in(tmp_path, Time(), BURSAR_GUARD_OFF=word)
    guard.book.accept(envelope(1, CAP))
    assert guard.book.live() == ()


# --- what is noted -------------------------------------------------------------------------------------------------


def test_a_repeated_prompt_is_another_attempt_and_a_refused_one_is_not(tmp_path: Path) -> None:
    """Retries of refused calls are ours, not the client's."""
    clock = Time()
    guard = guard_in(tmp_path, clock)
    attempts = []
    for later in (0, 5, 5, 100):
        clock.now += later
        data = body("same", session=f"s{clock.now}")
        guard.before(USER, data, "acompletion")
        attempts.append(data["metadata"]["spend_logs_metadata"]["bursar"]["attempt"])
    assert attempts == [1, 2, 3, 1]
    guard.book.accept(envelope(1, rule("block_key", {"team": "search"}, blocked=True, seconds=10**9)))
    assert guard.before(USER, body("same"), "acompletion") is not None
    guard.book.accept(envelope(2))
    clock.now += 20
    data = body("same")
    guard.before(USER, data, "acompletion")
    assert data["metadata"]["spend_logs_metadata"]["bursar"]["attempt"] == 2


def test_a_forged_note_is_replaced(tmp_path: Path) -> None:
    """What a caller writes into our place of the metadata does not reach the log."""
    data = body()
    data["metadata"] = {"spend_logs_metadata": {"bursar": {"remedy_id": "rem-forged", "team": "ads"}, "job": "j"}}
    guard_in(tmp_path, Time()).before(USER, data, "acompletion")
    labels = data["metadata"]["spend_logs_metadata"]
    assert labels["bursar"].get("remedy_id") is None
    assert labels["bursar"]["dims"]["team"] == "search"
    assert labels["job"] == "j"


def test_a_call_is_noted_once_and_without_text(tmp_path: Path) -> None:
    """LiteLLM may log a call twice; texts of prompt, answer, error and long labels stay in the proxy."""
    guard = guard_in(tmp_path, Time())
    data = body("a secret prompt")
    data["metadata"] = {"spend_logs_metadata": {"job": "nightly", "notes": "a secret label " * 50}}
    guard.before(USER, data, "acompletion")
    answer = {"choices": [{"message": {"content": "a secret answer"}, "finish_reason": "stop"}]}
    logged = log_of(data, response=answer, error_str="a secret error", model_parameters={"tools": ["a secret tool"]})
    guard.after(logged)
    guard.after(logged)
    (record,) = guard.spool.take(10)
    assert "secret" not in json.dumps(record)
    told = record["metadata"]["bursar"]
    assert (told["completion_chars"], told["finish_reason"], told["prompt_chars"]) == (15, "stop", 15)
    assert record["metadata"]["spend_logs_metadata"]["job"] == "nightly"


# --- the courier ---------------------------------------------------------------------------------------------------


def courier_of(guard: g.Guard, answer: Callable[[httpx.Request], httpx.Response]) -> tuple[g.Courier, httpx.Client]:
    """A courier whose requests are answered by a function."""
    transport = httpx.MockTransport(answer)
    return g.Courier(guard, transport=transport), httpx.Client(base_url="http://bursar", transport=transport)


def test_the_spool_is_bounded_and_loses_nothing_silently(tmp_path: Path) -> None:
    """While Bursar is away records wait; beyond the limit the newest are dropped and counted; then all is sent once."""
    guard = guard_in(tmp_path, Time(), BURSAR_GUARD_SPOOL="3")
    for number in range(5):
        guard.after({"id": str(number), "status": "success"})
    here, sent = [False], []

    def bursar(request: httpx.Request) -> httpx.Response:
        if not here[0]:
            raise httpx.ConnectError("away")
        sent.extend(json.loads(gzip.decompress(request.content))["records"])
        return httpx.Response(200, json={"accepted": 3})

    courier, client = courier_of(guard, bursar)
    with client:
        courier.send_usage(client)
        assert (len(guard.spool), guard.spool.dropped) == (3, 2)
        here[0] = True
        courier.send_usage(client)
    assert [record["id"] for record in sent] == ["0", "1", "2"]
    assert len(guard.spool) == 0
    assert courier.report()["counters"]["dropped"] == 2


def test_one_record_that_bursar_will_not_take_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A batch is narrowed down until the culprit stands alone; it is dropped and counted."""
    guard = guard_in(tmp_path, Time())
    for number in range(9):
        guard.after({"id": str(number), "status": "success"})
    taken = []

    def bursar(request: httpx.Request) -> httpx.Response:
        ids = [record["id"] for record in json.loads(gzip.decompress(request.content))["records"]]
        if "4" in ids:
            return httpx.Response(400)
        taken.extend(ids)
        return httpx.Response(200)

    courier, client = courier_of(guard, bursar)
    with client:
        courier.send_usage(client)
    assert sorted(taken) == ["0", "1", "2", "3", "5", "6", "7", "8"]
    assert guard.spool.dropped == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401),
        httpx.Response(500),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"payload": 1}),
    ],
)
def test_garbage_from_bursar_leaves_the_rules_as_they_are(tmp_path: Path, answer: httpx.Response) -> None:
    """A proxy in between, a wrong token or a wrong page never changes what is in force."""
    guard = guard_in(tmp_path, Time())
    guard.book.accept(envelope(1, CAP))
    courier, client = courier_of(guard, lambda _: answer)
    with client:
        courier.poll(client)
    assert [one.rule.remedy_id for one in guard.book.live()] == ["rem-cap"]


# --- its own faults ------------------------------------------------------------------------------------------------


class Broken:
    """A user object that cannot be read."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"no {name}")


def hook(callback: g.BursarGuard, user: object, data: Any, call_type: str = "acompletion") -> Any:
    """Call the hook as LiteLLM does."""
    return asyncio.run(callback.async_pre_call_hook(user, None, data, call_type))


def test_a_fault_of_the_guard_passes_the_request_unchanged(tmp_path: Path) -> None:
    """Counted, never raised, and the request is what it was."""
    callback = g.BursarGuard(environment(tmp_path))
    try:
        data = body()
        before = json.dumps(data)
        assert hook(callback, Broken(), data) is data
        assert json.dumps(data) == before
        asyncio.run(callback.async_log_success_event({"standard_logging_object": {"id": Broken()}}, None, 0, 0))
        assert callback.guard.counters["errors"] >= 1
    finally:
        callback.courier.stop()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> g.Guard:
    """A guard that changes all that it can."""
    guard = guard_in(tmp_path_factory.mktemp("guard"), Time())
    scope = {"team": "search"}
    swap = rule("set_model_alias", scope, from_model="m", to_model="claude-small", seconds=10**8)
    cap = rule("set_output_cap", scope, max_tokens=64, seconds=10**8)
    guard.book.accept(envelope(1, swap, cap, rule("set_prompt_cache", scope, ttl="off", seconds=10**8)))
    assert len(guard.book.live()) == 3
    return guard


CALL_TYPES = ["acompletion", "anthropic_messages", "aresponses", g.RAW_ROUTE, "aembedding"]


@given(BODY, st.sampled_from(CALL_TYPES))
@settings(deadline=None, max_examples=200)
def test_no_body_makes_the_guard_fault(strict: g.Guard, data: Json, call_type: str) -> None:
    """Whatever a client sends, the decision is made without an internal fault."""
    sent = {"model": "m", "metadata": {}, **data}
    assert strict.before(USER, sent, call_type) is None
    assert strict.counters["errors"] == 0
    if call_type in (g.RAW_ROUTE, "aembedding"):
        assert sent["model"] == "m"


def test_a_refusal_is_raised_in_litellms_words(tmp_path: Path) -> None:
    """The one exception that leaves the hook, with status, headers and fields."""
    callback = g.BursarGuard(environment(tmp_path))
    try:
        blocked = rule("block_key", {"team": "search"}, remedy="rem-b", blocked=True)
        now = datetime.now(UTC)
        callback.guard.book.accept(SIGNER.rules(payload(1, [blocked], now=now - timedelta(seconds=5))))
        with pytest.raises(g.ProxyException, match=r"Bursar blocked these calls \(remedy rem-b\)") as raised:
            hook(callback, USER, body())
        assert raised.value.code == "403"
        assert raised.value.fields["headers"] == {"x-bursar-remedy": "rem-b", "x-should-retry": "false"}
    finally:
        callback.courier.stop()


@pytest.mark.parametrize(
    "env",
    [{}, {"BURSAR_GUARD_PUBLIC_KEY": "short"}, {"BURSAR_GUARD_POLL_SECONDS": "0"}, {"BURSAR_URL": "http://x"}],
)
def test_an_incomplete_or_faulty_configuration_leaves_the_guard_idle(env: dict[str, str]) -> None:
    """The proxy starts and works as without a guard."""
    callback = g.BursarGuard(env)
    data = body()
    before = json.dumps(data)
    assert hook(callback, USER, data) is data
    assert json.dumps(data) == before


# --- several proxies -----------------------------------------------------------------------------------------------


def test_three_proxies_honour_one_limit(tmp_path: Path) -> None:
    """A balancer that deals calls out at random: together they grant between nine tenths of the limit and all of it."""
    clock, draw = Time(), random.Random(5)
    limit = rule("set_rate_limit", {"team": "search"}, requests_per_minute=60)
    limit["expires_at"] = "2026-11-26T00:00:00Z"
    guards = [guard_in(tmp_path / str(place), clock) for place in range(3)]
    for place, guard in enumerate(guards):
        guard.book.accept(envelope(1, limit))
        guard.book.share(place, 3)
    for minute in range(5):
        clock.now = NOW.timestamp() + 60 * minute
        granted = 0
        for number in range(180):
            stop = draw.choice(guards).before(USER, body(session=f"s{number}"), "acompletion")
            granted += stop is None
        assert 54 <= granted <= 60


def test_a_share_lasts_when_the_rules_are_renewed_and_never_passes_the_ceiling(tmp_path: Path) -> None:
    """The ceiling file of the tests lets three share; Bursar may claim a million."""
    guard = guard_in(tmp_path, Time())
    guard.book.share(7, 10**6)
    assert guard.book.part == (1, 3)
    guard.book.share(1, 2)
    guard.book.accept(envelope(1, CAP))
    assert (guard.book.part, guard.book.live()[0].part) == ((1, 2), (1, 2))
    guard.book.share(5, 2)
    assert guard.book.part == (1, 2)


def test_the_report_is_answered_with_the_place(tmp_path: Path) -> None:
    """Over HTTP: what Bursar answers is what the guard then grants; an older Bursar answers nothing."""
    clock = Time()
    guard = guard_in(tmp_path, clock)
    answers = [httpx.Response(204), httpx.Response(200, json={"place": 2, "of": 3}), httpx.Response(200, json=[])]

    def bursar(request: httpx.Request) -> httpx.Response:
        return httpx.Response(304) if request.method == "GET" else answers.pop(0)

    transport = httpx.MockTransport(bursar)
    with httpx.Client(transport=transport, base_url="http://bursar") as client:
        courier = g.Courier(guard)
        seen = []
        for _ in range(3):
            courier.poll(client)
            seen.append(guard.book.part)
    assert seen == [(0, 1), (2, 3), (2, 3)]
