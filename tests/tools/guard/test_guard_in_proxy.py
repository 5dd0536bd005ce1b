"""The guard inside a real LiteLLM proxy, seen through the real openai and anthropic clients and the model stub."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx
import pytest

from tests.tools.guard.conftest import Rig
from tests.tools.guard.control import Signer, payload, rule

ROUTES = ["openai", "anthropic"]
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
LONG = "You answer questions about the house rules of our search team. " * 100
"""Long enough for the stub's prompt cache (1024 tokens)."""


class Caller:
    """One app with a key of its own; every prompt carries a mark by which the stub's log knows it."""

    def __init__(self, rig: Rig, route: str, *, team: str = "search", app: str | None = None, retries: int = 2) -> None:
        self.app = app or f"app-{uuid.uuid4().hex[:8]}"
        self.mark = uuid.uuid4().hex
        self.scope = {"team": team, "app": self.app}
        self.key = rig.proxy.add_key(team=team, app=self.app)
        self._rig, self._route, self._retries = rig, route, retries

    def call(self, *, model: str = "claude-big", session: str | None = None, **body: Any) -> dict[str, Any]:
        """One call by the real client: {"status", "headers", "body"[, "raised"]}."""
        body = {"model": model, "messages": [{"role": "user", "content": self.mark}], **body}
        headers = {"x-litellm-session-id": session} if session else {}
        if self._route == "openai":
            url = f"{self._rig.proxy.url}/v1"
            return self._rig.openai.chat(url, self.key, max_retries=self._retries, extra_headers=headers, **body)
        body = {"max_tokens": 100, **body}
        with anthropic.Anthropic(
            base_url=self._rig.proxy.url, auth_token=self.key, max_retries=self._retries
        ) as client:
            try:
                reply = client.messages.with_raw_response.create(extra_headers=headers, **body)
                return {"status": 200, "headers": dict(reply.headers), "body": json.loads(reply.text())}
            except anthropic.APIStatusError as error:
                answer = error.response
                return {
                    "status": error.status_code,
                    "headers": dict(answer.headers),
                    "body": answer.json(),
                    "raised": type(error).__name__,
                }

    @property
    def upstream(self) -> list[dict[str, Any]]:
        """What the model stub got from this app."""
        return self._rig.upstream.log(self.mark)

    def usage(self, count: int) -> list[dict[str, Any]]:
        """What the guard posted of this app."""
        return self._rig.control.wait_for_usage(lambda r: r["metadata"]["bursar"].get("app") == self.app, count)


@pytest.fixture(params=ROUTES)
def caller(rig: Rig, request: pytest.FixtureRequest) -> Caller:
    """An app on each route."""
    return Caller(rig, request.param)


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """The route of the app."""
    return PATHS[request.node.callspec.params["caller"]]


def test_a_swap_is_answered_by_the_other_model_and_says_so(rig: Rig, caller: Caller) -> None:
    """The upstream sees the small model, the client a header with the remedy, and usage carries both names."""
    swap = rule("set_model_alias", caller.scope, from_model="claude-big", to_model="claude-small")
    rig.control.enforce(swap)
    answer = caller.call()
    assert answer["status"] == 200
    assert caller.upstream[0]["model"] == "claude-haiku-4-5"
    assert answer["headers"]["x-bursar-remedy"] == swap["remedy_id"]
    assert answer["headers"]["x-bursar-change"] == "model=claude-small"
    record = caller.usage(1)[0]
    assert record["model_group"] == "claude-small"
    assert record["metadata"]["bursar"]["requested_model"] == "claude-big"
    assert record["metadata"]["bursar"]["remedy_id"] == swap["remedy_id"]


def test_a_swap_leaves_other_apps_and_other_models_alone(rig: Rig, caller: Caller) -> None:
    """Only the target's requests for that model change."""
    rig.control.enforce(rule("set_model_alias", {"app": "another"}, from_model="claude-big", to_model="claude-small"))
    assert caller.call()["headers"].get("x-bursar-remedy") is None
    assert caller.upstream[0]["model"] == "claude-opus-4-5"


def test_a_stream_is_swapped_and_logged_once(rig: Rig) -> None:
    """A streaming request is changed like any other; its usage comes when it ends."""
    app = Caller(rig, "openai")
    rig.control.enforce(rule("set_model_alias", app.scope, from_model="claude-big", to_model="claude-small"))
    answer = app.call(stream=True, stream_options={"include_usage": True})
    assert answer["body"]["chunks"][-1]["usage"]["completion_tokens"] > 0
    assert app.upstream[0]["model"] == "claude-haiku-4-5"
    record = app.usage(1)[0]
    assert record["stream"] is True
    assert record["completion_tokens"] > 0


def test_a_request_that_does_not_fit_is_not_swapped(rig: Rig) -> None:
    """An image or a prompt beyond the other model's context stays with the model that was asked for."""
    app = Caller(rig, "openai")
    rig.control.enforce(rule("set_model_alias", app.scope, from_model="gpt-big", to_model="gpt-narrow"))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    app.call(model="gpt-big", messages=[{"role": "user", "content": [{"type": "text", "text": app.mark}, image]}])
    app.call(model="gpt-big", messages=[{"role": "user", "content": app.mark + "x" * 60_000}])
    app.call(model="gpt-big")
    assert [entry["model"] for entry in app.upstream] == ["gpt-4o", "gpt-4o", "gpt-3.5-turbo"]


def test_a_session_that_began_on_the_old_model_stays_there(rig: Rig, caller: Caller) -> None:
    """A swap does not change the model in the middle of a conversation; new sessions get the new one."""
    caller.call(session="before-the-swap")
    rig.control.enforce(rule("set_model_alias", caller.scope, from_model="claude-big", to_model="claude-small"))
    caller.call(session="before-the-swap")
    caller.call(session="after-the-swap")
    assert [entry["model"] for entry in caller.upstream] == ["claude-opus-4-5", "claude-opus-4-5", "claude-haiku-4-5"]


def test_thinking_is_lowered_and_the_client_is_told(rig: Rig) -> None:
    """Anthropic's thinking budget, on its own route; the upstream sees the lower one."""
    app = Caller(rig, "anthropic")
    rig.control.enforce(rule("set_reasoning_effort", app.scope, effort="low"))
    answer = app.call(max_tokens=20_000, thinking={"type": "enabled", "budget_tokens": 12_000})
    assert answer["headers"]["x-bursar-change"] == "effort=low"
    assert app.upstream[0]["body"]["thinking"]["budget_tokens"] == 4_000


def test_a_context_cap_refuses_the_long_prompt_only(rig: Rig, caller: Caller) -> None:
    """One request, no retry, and the upstream never sees it."""
    cap = rule("set_context_cap", caller.scope, max_input_tokens=1_000)
    rig.control.enforce(cap)
    assert caller.call()["status"] == 200
    refused = caller.call(messages=[{"role": "user", "content": caller.mark + "x" * 8_000}])
    assert (refused["status"], refused["raised"]) == (403, "PermissionDeniedError")
    assert refused["headers"]["x-bursar-remedy"] == cap["remedy_id"]
    assert len(caller.upstream) == 1


@pytest.mark.parametrize("route", ROUTES)
def test_a_rate_limit_refuses_with_retry_after(rig: Rig, route: str) -> None:
    """Beyond the limit the client gets a 429 with Retry-After, the remedy, the reason, the end and the owner."""
    app = Caller(rig, route, retries=0)
    limit = rule("set_rate_limit", app.scope, requests_per_minute=2, tokens_per_minute=None)
    rig.control.enforce(limit)
    answers = [app.call() for _ in range(5)]  # five, because a minute may turn among them
    refused = next(answer for answer in answers if answer["status"] == 429)
    assert refused["raised"] == "RateLimitError"
    assert 1 <= int(refused["headers"]["retry-after"]) <= 60
    error = refused["body"]["error"]
    assert error["type"] == "rate_limit_error"
    assert limit["remedy_id"] in error["message"]
    assert "spend rose threefold" in error["message"]
    told = error["provider_specific_fields"]["bursar"]
    assert (told["owner"], told["until"], told["terminal"]) == ("#search-llm", limit["expires_at"][:19] + "Z", False)
    assert len(app.upstream) == sum(answer["status"] == 200 for answer in answers)


def test_a_token_limit_counts_tokens(rig: Rig) -> None:
    """A prompt that is larger than what is left of the minute is refused, a small one is not."""
    app = Caller(rig, "anthropic", retries=0)
    rig.control.enforce(rule("set_rate_limit", app.scope, requests_per_minute=None, tokens_per_minute=1000))
    assert app.call()["status"] == 200
    assert app.call(messages=[{"role": "user", "content": "word " * 2000}])["status"] == 429


def test_a_session_cap_ends_a_loop_without_client_retries(rig: Rig, caller: Caller, path: str) -> None:
    """The client asks once more, is told no for good, and does not retry; other sessions go on."""
    rig.control.enforce(rule("set_session_cap", caller.scope, max_calls=3))
    refused_before = rig.proxy.answers(path, 403)
    answers = []
    for _ in range(10):  # an agent that loops until it is stopped
        answers.append(caller.call(session="loop"))
        if answers[-1]["status"] != 200:
            break
    assert [answer["status"] for answer in answers] == [200, 200, 200, 403]
    assert answers[-1]["raised"] == "PermissionDeniedError"
    assert len(caller.upstream) == 3
    assert rig.proxy.answers(path, 403) == refused_before + 1
    assert caller.call(session="another")["status"] == 200
    assert caller.call()["status"] == 200


def test_a_refused_call_is_reported_with_no_tokens_and_the_remedy(rig: Rig, caller: Caller) -> None:
    """Each call is posted once: two answered, one refused."""
    cap = rule("set_session_cap", caller.scope, max_calls=2)
    rig.control.enforce(cap)
    for _ in range(3):
        caller.call(session="s")
    rig.control.wait_for_reports()
    records = caller.usage(3)
    assert sorted(record["status"] for record in records) == ["failure", "success", "success"]
    assert len({record["id"] for record in records}) == 3
    refused = next(record for record in records if record["status"] == "failure")
    assert (refused["prompt_tokens"], refused["completion_tokens"], refused["response_cost"]) == (0, 0, 0)
    told = refused["metadata"]["bursar"]
    assert (told["status"], told["remedy_id"], told["session_id"]) == ("refused", cap["remedy_id"], "s")


def test_usage_carries_who_asked_and_no_text(rig: Rig, caller: Caller) -> None:
    """Dimensions come from the key, hints are hashes and sizes, and the prompt is nowhere in what was posted."""
    caller.call(session="s-1")
    caller.call(session="s-1")
    first, second = caller.usage(2)
    told = first["metadata"]["bursar"]
    assert told["dims"] == {
        "team": "search",
        "app": caller.app,
        "environment": "staging",
        "api_key_id": first["metadata"]["user_api_key_hash"],
        "session_id": "s-1",
        "model": "claude-big",
    }
    assert (told["attempt"], second["metadata"]["bursar"]["attempt"]) == (1, 2)
    assert told["prompt_hash"] == second["metadata"]["bursar"]["prompt_hash"]
    assert told["prompt_chars"] == len(caller.mark)
    assert first["response_cost"] > 0
    assert caller.mark not in json.dumps([first, second])


def test_an_output_cap_limits_what_is_asked_of_the_model(rig: Rig, caller: Caller) -> None:
    """A larger limit is lowered, a smaller one stays."""
    rig.control.enforce(rule("set_output_cap", caller.scope, max_tokens=64))
    caller.call(max_tokens=4000)
    caller.call(max_tokens=20)
    assert [entry["body"]["max_tokens"] for entry in caller.upstream] == [64, 20]


def test_an_injected_breakpoint_makes_the_second_call_a_cache_read(rig: Rig, caller: Caller) -> None:
    """The same system prompt is written once and read afterwards; "off" takes breakpoints away again."""
    system = f"{caller.mark} {LONG}"
    body = _with_system(caller, system)
    caller.call(**body)
    rig.control.enforce(rule("set_prompt_cache", caller.scope, ttl="5m"))
    caller.call(**body)
    caller.call(**body)
    reads = [entry["usage"]["cache_read_input_tokens"] for entry in caller.upstream]
    assert reads[:2] == [0, 0]
    assert reads[2] > 1024
    assert caller.usage(3)[2]["metadata"]["usage_object"]["cache_read_input_tokens"] == reads[2]
    rig.control.enforce(rule("set_prompt_cache", caller.scope, ttl="off"))
    caller.call(**_with_system(caller, [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]))
    assert "cache_control" not in json.dumps(caller.upstream[3]["body"])


def _with_system(caller: Caller, system: object) -> dict[str, Any]:
    user = {"role": "user", "content": caller.mark}
    if caller._route == "anthropic":
        return {"system": system, "messages": [user]}
    return {"messages": [{"role": "system", "content": system}, user]}


def test_a_block_stops_a_key_at_once(rig: Rig, caller: Caller, path: str) -> None:
    """One 403 that no client retries, in the shape of the route."""
    key_id = _key_id(rig, caller)
    block = rule("block_key", {"api_key_id": key_id, "team": "search"}, blocked=True)
    rig.control.enforce(block)
    before = rig.proxy.answers(path, 403)
    answer = caller.call()
    assert (answer["status"], answer["raised"]) == (403, "PermissionDeniedError")
    assert answer["headers"]["x-should-retry"] == "false"
    assert answer["body"]["error"]["type"] == "permission_error"
    assert rig.proxy.answers(path, 403) == before + 1
    assert len(caller.upstream) == 1


def _key_id(rig: Rig, caller: Caller) -> str:
    caller.call()
    return str(caller.usage(1)[0]["metadata"]["bursar"]["dims"]["api_key_id"])


def test_the_old_behaviour_is_back_after_the_rule_ends(rig: Rig, caller: Caller) -> None:
    """A rule expires by itself, although Bursar goes on to offer it."""
    rig.control.enforce(
        rule("set_model_alias", caller.scope, from_model="claude-big", to_model="claude-small", seconds=3)
    )
    caller.call()
    models = ["claude-haiku-4-5"]
    while models[-1] != "claude-opus-4-5":
        assert len(models) < 500
        caller.call()
        models = [entry["model"] for entry in caller.upstream]
    assert models[0] == "claude-haiku-4-5"


def test_bursar_away_keeps_the_last_rules_until_they_expire(rig: Rig) -> None:
    """Nothing changes while Bursar is away; then the set ends, and calls go through untouched."""
    app = Caller(rig, "anthropic")
    rig.control.enforce(rule("set_output_cap", app.scope, max_tokens=64), seconds=4)
    rig.control.away = True
    app.call()
    assert app.upstream[0]["body"]["max_tokens"] == 64
    for _ in range(500):
        app.call()
        if app.upstream[-1]["body"]["max_tokens"] == 100:
            break
    assert app.upstream[-1]["body"]["max_tokens"] == 100
    rig.control.away = False
    assert len(app.usage(len(app.upstream))) == len(app.upstream)


def test_what_bursar_did_not_sign_is_not_taken(rig: Rig) -> None:
    """A strange signature, a lower sequence and an expired set leave the rules in force as they are."""
    app = Caller(rig, "anthropic")
    rig.control.enforce(rule("set_output_cap", app.scope, max_tokens=64))
    held = rig.control.etag
    now = datetime.now(UTC)
    lower = rule("set_output_cap", app.scope, max_tokens=16)
    for envelope in (
        Signer().rules(payload(10**6, [lower], now=now)),
        rig.control.signer.rules(payload(rig.control.sequence - 1, [lower], now=now)),
        rig.control.signer.rules(payload(10**6, [lower], now=now - timedelta(days=2))),
    ):
        rig.control.envelope = envelope
        rig.control.wait_for_reports()
        assert rig.control.reports[-1]["etag"] == held
    app.call()
    assert app.upstream[0]["body"]["max_tokens"] == 64


def test_the_ceiling_file_is_stronger_than_bursar(rig: Rig) -> None:
    """Rules outside it are reported as refused, and protected apps and keys stay untouched under a wider rule."""
    bad = [
        rule("set_model_alias", {"team": "search"}, from_model="claude-small", to_model="claude-big"),
        rule("set_rate_limit", {"team": "finance"}, requests_per_minute=5),
        rule("set_session_cap", {"team": "search"}, max_calls=1),
        rule("block_key", {"team": "search", "app": "payments"}, blocked=True),
        rule("set_model_alias", {"team": "search"}, from_model="claude-big", to_model="not-served-here"),
    ]
    good = rule("set_output_cap", {"team": "search"}, max_tokens=64)
    rig.control.enforce(*bad, good)
    why = {entry["remedy_id"]: entry["why"] for entry in rig.control.reports[-1]["refused_rules"]}
    assert set(why) == {row["remedy_id"] for row in bad}
    assert "swap to claude-big" in why[bad[0]["remedy_id"]]
    assert "below the 2" in why[bad[2]["remedy_id"]]
    assert "does not serve" in why[bad[4]["remedy_id"]]
    touched, safe = Caller(rig, "anthropic"), Caller(rig, "anthropic", app="payments")
    touched.call()
    safe.call()
    assert (touched.upstream[0]["body"]["max_tokens"], safe.upstream[0]["body"]["max_tokens"]) == (64, 100)


def test_the_off_switch_returns_the_old_behaviour(rig: Rig) -> None:
    """A file on the proxy's host takes every rule out of force, and its removal brings them back."""
    app = Caller(rig, "anthropic")
    rig.control.enforce(rule("set_output_cap", app.scope, max_tokens=64))
    rig.off.touch()
    rig.control.wait(lambda: rig.control.reports[-1]["off"])
    app.call()
    rig.off.unlink()
    rig.control.wait(lambda: not rig.control.reports[-1]["off"])
    app.call()
    assert [entry["body"]["max_tokens"] for entry in app.upstream] == [100, 64]


@pytest.mark.parametrize("route", ROUTES)
def test_a_probe_is_answered_without_an_upstream_call(rig: Rig, route: str) -> None:
    """Status 418, the decision as JSON in error.message; nothing counts, nothing is posted, a replay is refused."""
    app = Caller(rig, route)
    cap = rule("set_session_cap", app.scope, max_calls=2)
    swap = rule("set_model_alias", app.scope, from_model="claude-big", to_model="claude-small")
    rig.control.enforce(cap, swap)
    body = {"model": "claude-big", "max_tokens": 5, "messages": [{"role": "user", "content": app.mark}]}
    for _ in range(3):  # more often than the cap allows
        sealed = rig.control.probe({**app.scope, "session_id": "s"}, "claude-big")
        answer = _post(rig, app.key, PATHS[route], body, {"x-bursar-probe": sealed})
        assert answer.status_code == 418
        said = json.loads(answer.json()["error"]["message"])
    assert (said["etag"], said["sequence"]) == (rig.control.etag, rig.control.sequence)
    assert said["decision"]["verdict"] == "change"
    assert said["decision"]["model"] == "claude-small"
    assert said["decision"]["limit"]["max_calls"] == 2
    assert set(said["decision"]["rules"]) == {cap["remedy_id"], swap["remedy_id"]}
    for bad in (sealed, rig.control.probe(app.scope, "claude-big", seconds=-1), Signer().probe({"v": 1}), "x"):
        refused = _post(rig, app.key, PATHS[route], body, {"x-bursar-probe": bad})
        assert refused.status_code == 403
    assert app.upstream == []
    app.call(session="s")
    assert len(app.usage(1)) == 1


def _post(rig: Rig, key: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return httpx.post(
        f"{rig.proxy.url}{path}", json=body, headers={"authorization": f"Bearer {key}", **headers}, timeout=60
    )


TEXT = {"messages": [{"role": "user", "content": "MARK"}]}
COVERAGE = [
    ("/chat/completions", TEXT, True),
    ("/v1/messages", {**TEXT, "max_tokens": 100}, True),
    ("/v1/messages", {**TEXT, "max_tokens": 100, "stream": True}, True),
    ("/v1/responses", {"input": "MARK", "max_output_tokens": 100}, True),
    ("/anthropic/v1/messages", {**TEXT, "max_tokens": 100}, False),
    ("/raw/messages", {**TEXT, "max_tokens": 100}, False),
]


@pytest.mark.parametrize(("path", "body", "changes"), COVERAGE)
def test_routes_can_be_refused_and_most_can_be_changed(
    rig: Rig, path: str, body: dict[str, Any], changes: bool
) -> None:
    """The coverage table of the README: a change on the first call, a refusal of the second, and the usage of both."""
    app = Caller(rig, "anthropic")
    sent = json.loads(json.dumps({"model": "claude-big", **body}).replace("MARK", app.mark))
    rig.control.enforce(rule("set_output_cap", app.scope, max_tokens=64))
    answer = _post(rig, app.key, path, sent, {})
    assert answer.status_code == 200
    assert (app.upstream[0]["body"]["max_tokens"] == 64) is changes
    assert (answer.headers.get("x-bursar-change") == "max_tokens=64") is changes
    _check_refusal(rig, app, path, sent)
    assert len(app.upstream) == 1
    records = app.usage(2)
    assert [record["metadata"]["bursar"].get("status") for record in records] == [None, "refused"]


@pytest.mark.parametrize(("path", "field"), [("/v1/completions", "prompt"), ("/v1/embeddings", "input")])
def test_other_routes_can_be_refused(rig: Rig, path: str, field: str) -> None:
    """The rest of the coverage table."""
    app = Caller(rig, "openai")
    _check_refusal(rig, app, path, {"model": "gpt-big", field: app.mark})
    assert app.usage(1)[0]["metadata"]["bursar"]["status"] == "refused"


def _check_refusal(rig: Rig, app: Caller, path: str, sent: dict[str, Any]) -> None:
    """A limit of one token a minute stops every prompt."""
    limit = rule("set_rate_limit", app.scope, requests_per_minute=None, tokens_per_minute=1)
    rig.control.enforce(limit)
    refused = _post(rig, app.key, path, sent, {})
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    error = refused.json()["error"]
    assert error["provider_specific_fields"]["bursar"]["remedy_id"] == limit["remedy_id"]


def test_the_hook_takes_less_than_a_millisecond(rig: Rig, record_property: Callable[[str, object], None]) -> None:
    """5,000 calls with 50 rules inside the proxy: p99 below 1 ms of processor time (a busy machine adds waits)."""
    app = Caller(rig, "openai")
    rules = [rule("set_rate_limit", {"team": "search", "app": f"a{n}"}, requests_per_minute=10**6) for n in range(40)]
    own = [rule("set_rate_limit", app.scope, requests_per_minute=10**6) for _ in range(9)]
    rig.control.enforce(*rules, *own, rule("set_output_cap", app.scope, max_tokens=64))
    body = {
        "model": "claude-big",
        "max_tokens": 500,
        "messages": [
            {"role": "system", "content": LONG},
            *({"role": "user", "content": f"{app.mark} {n}" * 20} for n in range(20)),
        ],
        "tools": [
            {"type": "function", "function": {"name": f"t{n}", "parameters": {"type": "object"}}} for n in range(5)
        ],
    }
    assert _post(rig, app.key, "/chat/completions", body, {"x-time-guard": "5000"}).status_code == 200
    found = json.loads((rig.proxy.folder / "times.json").read_text())
    record_property("guard_hook", found)
    assert found["calls"] == 5000
    assert found["processor_us"]["p99"] < 1000, found


def test_reports_say_what_runs(rig: Rig) -> None:
    """Process, versions, counters and no fault of the guard in all of the tests before."""
    rig.control.wait_for_reports()
    report = rig.control.reports[-1]
    assert report["litellm"] == "1.106.2"
    assert report["counters"]["errors"] == 0
    assert report["counters"]["dropped"] == 0
    assert report["now"] >= report["started_at"]
    assert len({one["proxy_id"] for one in rig.control.reports}) == 1
