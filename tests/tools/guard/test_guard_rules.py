"""The pure parts of the guard: signatures, the ceiling, limits, changes to bodies, who asks."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.guard.control import CEILING, Json, Signer, payload, rule
from tools.guard import bursar_guard as g

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
T0 = NOW.timestamp()
SIGNER = Signer()
KEY = g.Config.from_environment({"BURSAR_GUARD_PUBLIC_KEY": SIGNER.public_key}).public_key
BIG: dict[str, Any] = {"max_input_tokens": 200_000, "max_output_tokens": 64_000, "supports_function_calling": True}


def fits(model: str) -> str | None:
    """Every model fits."""


def live(*rows: Json, since: float = T0) -> tuple[g.Live, ...]:
    """Rules in force, the most specific first."""
    envelope = SIGNER.rules(payload(1, [{**row, "expires_at": "2026-11-26T00:00:00Z"} for row in rows], now=NOW))
    rules = g.read_rule_set(envelope, KEY).rules
    return tuple(sorted((g.Live(one, since) for one in rules), key=lambda one: -len(one.rule.target)))


def call(now: float = T0, tokens: int = 0, **dims: str) -> g.Call:
    """A call of the search team."""
    return g.Call({"team": "search", "model": "claude-big", **dims}, now, tokens=tokens)


# --- signatures ----------------------------------------------------------------------------------------------------


def test_a_signed_set_is_read_with_its_etag() -> None:
    """The ETag is the SHA-256 of the payload, as Bursar computes it."""
    envelope = SIGNER.rules(payload(7, [rule("block_key", {"api_key_id": "k"}, blocked=True)], now=NOW))
    found = g.read_rule_set(envelope, KEY)
    assert (found.sequence, found.expires_at - T0, len(found.rules)) == (7, 3600, 1)
    assert len(found.etag) == 64


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_any_changed_byte_breaks_the_signature(place: int, flip: int) -> None:
    """Not one bit of a payload can be changed."""
    envelope = SIGNER.rules(payload(7, [rule("block_key", {"api_key_id": "k"}, blocked=True)], now=NOW))
    raw = bytearray(envelope["payload"].encode())
    raw[place % len(raw)] ^= flip
    with pytest.raises(g.Refused, match="signature"):
        g.read_rule_set({**envelope, "payload": raw.decode("latin-1")}, KEY)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (rule("open_pull_request", {"team": "a"}), "does not know the action"),
        (rule("set_output_cap", {"tags.k": "v"}, max_tokens=5), "cannot tell tags.k"),
        (rule("set_output_cap", {"team": "a"}), "lacks max_tokens"),
        (rule("set_rate_limit", {"team": "a"}, requests_per_minute=None, tokens_per_minute=None), "lacks"),
        (rule("set_model_alias", {"team": "a"}, from_model="x"), "lacks to_model"),
        (rule("block_key", {}, blocked=True), "block everything"),
        (rule("set_output_cap", {"team": "a"}, max_tokens="64"), "whole number"),
        (rule("set_session_cap", {"team": "a"}, max_calls=0), "whole number"),
        (rule("set_prompt_cache", {"team": "a"}, ttl="2d"), "one of 5m, 1h, off"),
        (rule("set_reasoning_effort", {"team": "a"}, effort="none"), "one of minimal, low, medium, high"),
        (rule("set_service_tier", {"team": "a"}, tier="priority"), "one of standard"),
        (rule("set_context_cap", {"team": "a"}, max_input_tokens=True), "whole number"),
        (rule("set_model_alias", {"team": "a"}, from_model="x", to_model="y", percent=100), "from 1 to 99"),
        (rule("set_model_alias", {"team": "a"}, from_model="x", to_model=["y"]), "must be a name"),
    ],
)
def test_an_unclear_rule_is_left_out_and_named(row: Json, why: str) -> None:
    """The other rules of the set stand."""
    good = rule("set_output_cap", {"team": "a"}, max_tokens=64)
    found = g.read_rule_set(SIGNER.rules(payload(1, [row, good], now=NOW)), KEY)
    assert [one.remedy_id for one in found.rules] == [good["remedy_id"]]
    assert found.refused[0][0] == row["remedy_id"]
    assert why in found.refused[0][1]


@pytest.mark.parametrize("body", [{"v": 2}, {"v": 1}, [], {"v": 1, "sequence": 1, "rules": [3]}, {"v": 1, "rules": {}}])
def test_a_signed_payload_of_another_shape_is_refused(body: Any) -> None:
    """Refused as a whole, never a fault."""
    with pytest.raises(g.Refused):
        g.read_rule_set(SIGNER.rules(body), KEY)


# --- the ceiling ---------------------------------------------------------------------------------------------------


def test_without_a_ceiling_file_nothing_is_allowed() -> None:
    """The guard only watches."""
    assert "only watches" in str(
        g.Ceiling().objects(live(rule("set_output_cap", {"team": "a"}, max_tokens=64))[0].rule)
    )


@pytest.mark.parametrize(
    ("kind", "target", "more", "why"),
    [
        ("set_output_cap", {"team": "search"}, {"max_tokens": 64}, None),
        ("set_output_cap", {"team": "search"}, {"max_tokens": 8}, "below the 16"),
        ("set_output_cap", {"team": "finance"}, {"max_tokens": 64}, "outside the scopes"),
        ("set_output_cap", {}, {"max_tokens": 64}, "outside the scopes"),
        ("set_output_cap", {"team": "ads", "app": "payments"}, {"max_tokens": 64}, "never touched"),
        ("block_key", {"team": "ads", "api_key_id": "bursar-own"}, {"blocked": True}, "never touched"),
        ("set_model_alias", {"team": "ads"}, {"from_model": "a", "to_model": "claude-small"}, None),
        ("set_model_alias", {"team": "ads"}, {"from_model": "a", "to_model": "claude-big"}, "swap to claude-big"),
        ("set_reasoning_effort", {"team": "ads"}, {"effort": "medium"}, None),
        ("set_reasoning_effort", {"team": "ads"}, {"effort": "minimal"}, "below the low"),
        ("set_context_cap", {"team": "ads"}, {"max_input_tokens": 100}, "below the 1000"),
    ],
)
def test_the_ceiling_judges_each_rule(kind: str, target: dict[str, str], more: Json, why: str | None) -> None:
    """Kinds, models, scopes, keys and lowest limits."""
    said = g.read_ceiling(CEILING).objects(live(rule(kind, target, **more))[0].rule)
    assert said is None if why is None else why in str(said)


@pytest.mark.parametrize(
    "text",
    ["", "- a", "kinds: set_output_cap", "kind: []", "kinds: [delete]", "lowest: {x: 1}", "lowest: {max_calls: two}",
     "lowest_effort: none", "proxies: 0", "proxies: many",
     "scopes: [{planet: mars}]", "scopes: {team: a}", "never_touch: key", "{", "swap_to: [1]"],
)  # fmt: skip
def test_a_faulty_ceiling_file_is_refused(text: str) -> None:
    """A typing error never widens what is allowed."""
    with pytest.raises(g.Refused, match="ceiling file"):
        g.read_ceiling(text)


# --- limits --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(0, 50)), max_size=60),
    st.integers(1, 9),
    st.integers(1, 200),
)
@settings(deadline=None, max_examples=200)
def test_no_minute_has_more_than_its_limit(calls: list[tuple[float, int]], most: int, tokens: int) -> None:
    """Whatever arrives when: admitted requests and tokens of each minute stay within the rule."""
    rules = live(rule("set_rate_limit", {"team": "search"}, requests_per_minute=most, tokens_per_minute=tokens))
    admitted: dict[int, list[int]] = {}
    now = T0
    for later, size in calls:
        now += later
        decision = g.decide(call(now, size), rules, fits=fits)
        if decision.verdict == "refuse":
            assert 1 <= decision.retry_after <= 60
        else:
            admitted.setdefault(int(now // 60), []).append(size)
    assert all(len(sizes) <= most and sum(sizes) <= tokens for sizes in admitted.values())


def test_a_token_limit_is_settled_by_what_was_used() -> None:
    """An estimate of 10 that became 90 leaves 10 of 100."""
    rules = live(rule("set_rate_limit", {"team": "search"}, requests_per_minute=None, tokens_per_minute=100))
    first = call(tokens=10)
    decision = g.decide(first, rules, fits=fits)
    decision.reserved[0].settle(first, 90)
    assert g.decide(call(tokens=11), rules, fits=fits).verdict == "refuse"
    assert g.decide(call(tokens=10), rules, fits=fits).verdict == "ok"


def test_a_session_cap_counts_each_session_and_no_call_without_one() -> None:
    """Two sessions have their own counters."""
    rules = live(rule("set_session_cap", {"team": "search"}, max_calls=2))
    said = [g.decide(call(session_id=name), rules, fits=fits).verdict for name in "aabab"]
    assert said == ["ok", "ok", "ok", "refuse", "ok"]
    assert {g.decide(call(), rules, fits=fits).verdict for _ in range(5)} == {"ok"}


def test_a_refused_call_counts_nowhere() -> None:
    """Knocking at a closed door does not use up another rule's limit."""
    block = rule("set_session_cap", {"team": "search", "session_id": "a"}, max_calls=2)
    limit = rule("set_rate_limit", {"team": "search"}, requests_per_minute=5)
    rules = live(block, limit)
    for _ in range(20):
        g.decide(call(session_id="a"), rules, fits=fits)
    assert rules[1].requests == 2


def test_the_most_specific_rule_of_a_kind_wins() -> None:
    """An app's swap goes before its team's; of output caps the lowest."""
    rules = live(
        rule("set_model_alias", {"team": "search"}, from_model="claude-big", to_model="mid"),
        rule("set_model_alias", {"team": "search", "app": "a"}, from_model="claude-big", to_model="small"),
        rule("set_output_cap", {"team": "search"}, max_tokens=50),
        rule("set_output_cap", {"team": "search", "app": "a"}, max_tokens=90),
    )
    said = g.decide(call(app="a"), rules, fits=fits).as_dict()
    assert (said["model"], said["max_tokens"], len(said["rules"])) == ("small", 50, 4)


def test_a_context_cap_refuses_longer_prompts_only() -> None:
    """Terminal, with the remedy: a retry would be as long."""
    rules = live(rule("set_context_cap", {"team": "search"}, max_input_tokens=1000))
    assert g.decide(call(tokens=1000), rules, fits=fits).verdict == "ok"
    stop = g.stop_of(g.decide(call(tokens=1001), rules, fits=fits))
    assert (stop.status, stop.headers["x-should-retry"]) == (403, "false")


def test_a_canary_takes_its_share_of_the_sessions_and_a_session_stays_where_it_is() -> None:
    """Each session has one model throughout; a probe is always inside."""
    rules = live(rule("set_model_alias", {"team": "search"}, from_model="claude-big", to_model="small", percent=20))

    def model(lot: str) -> object:
        asked = g.Call({"team": "search", "model": "claude-big"}, T0, lot=lot)
        return g.decide(asked, rules, fits=fits).as_dict()["model"]

    drawn = [model(f"session-{i}") for i in range(1000)]
    assert 150 < drawn.count("small") < 250
    assert drawn == [model(f"session-{i}") for i in range(1000)]
    assert model("") == "small"


@given(st.integers(1, 500), st.integers(1, 12))
@settings(deadline=None, max_examples=100)
def test_the_parts_of_a_limit_are_the_limit(most: int, of: int) -> None:
    """However many proxies share it, together they grant exactly the limit."""
    granted = 0
    for place in range(of):
        rules = live(rule("set_rate_limit", {"team": "search"}, requests_per_minute=most))
        rules[0].part = (place, of)
        while g.decide(call(), rules, fits=fits).verdict == "ok":
            granted += 1
    assert granted == most


def test_an_expired_rule_meets_nothing() -> None:
    """From its end on, to the second."""
    rules = live(rule("block_key", {"team": "search"}, blocked=True))
    ends = rules[0].rule.expires_at
    assert g.decide(call(ends - 1), rules, fits=fits).verdict == "refuse"
    assert g.decide(call(ends), rules, fits=fits).verdict == "ok"


# --- changes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"max_tokens": 500}, {"max_tokens": 100}),
        ({"max_tokens": 50}, {}),
        ({"max_completion_tokens": 500}, {"max_completion_tokens": 100}),
        ({"messages": []}, {"max_tokens": 100}),
        ({"input": "x"}, {"max_output_tokens": 100}),
        ({"max_tokens": 500, "thinking": {"type": "enabled", "budget_tokens": 400}}, {}),
    ],
)
def test_an_output_cap_changes_what_is_there(body: Json, changed: Json) -> None:
    """Under the name that the request uses; a request whose thinking needs more stays as it is."""
    assert g.cap_output(body, 100) == changed


def test_an_output_cap_takes_thinking_down_with_it() -> None:
    """The provider wants the thinking budget below the output limit."""
    body = {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    assert g.cap_output(body, 2000)["thinking"] == {"type": "enabled", "budget_tokens": 1999}


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}),
        ({"reasoning_effort": "minimal"}, {}),
        ({"reasoning": {"effort": "xhigh", "summary": "auto"}}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        ({"output_config": {"effort": "max"}}, {"output_config": {"effort": "low"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 9000}},
         {"thinking": {"type": "enabled", "budget_tokens": 4000}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {}),
        ({"messages": []}, {}),
        ({"reasoning_effort": "a lot"}, {}),
    ],
)  # fmt: skip
def test_an_effort_is_only_ever_lowered(body: Json, changed: Json) -> None:
    """Under the name that the request uses; a request that says nothing of thinking stays as it is."""
    assert g.lower_effort(body, "low") == changed


def test_priority_and_fast_mode_become_standard() -> None:
    """A cheaper tier that the caller chose stays."""
    assert g.standard_tier({"service_tier": "priority", "speed": "fast"}) == {"service_tier": "default", "speed": None}
    assert g.standard_tier({"service_tier": "flex", "speed": "standard"}) == {}


def test_a_breakpoint_goes_behind_the_last_thing_that_stays_equal() -> None:
    """System prompt, else tools; the caller's own breakpoints stay where they are, with the rule's lifetime."""
    hour = {"type": "ephemeral", "ttl": "1h"}
    text = [{"type": "text", "text": "s", "cache_control": hour}]
    assert g.set_cache({"system": "s"}, "1h") == {"system": text}
    user, system = {"role": "user", "content": "u"}, {"role": "system", "content": "s"}
    assert g.set_cache({"messages": [system, user]}, "1h") == {"messages": [{"role": "system", "content": text}, user]}
    assert g.set_cache({"messages": [user], "tools": [{"name": "t"}]}, "1h")["tools"][0]["cache_control"] == hour
    short = [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]
    assert g.set_cache({"system": text, "messages": [user]}, "5m") == {"system": short}
    assert g.set_cache({"system": short, "messages": [user]}, "1h") == {"system": text}
    assert g.set_cache({"system": text, "messages": [user]}, "1h") == {}
    assert g.set_cache({"cache_control": {"type": "ephemeral"}}, "1h") == {"cache_control": hour}
    assert g.set_cache({"messages": [user]}, "5m") == {}


def test_off_removes_every_breakpoint() -> None:
    """At the top, in system, tools and messages; the rest stays."""
    mark = {"type": "ephemeral"}
    block = {"type": "text", "text": "s", "cache_control": mark}
    body = {"cache_control": mark, "system": [block], "messages": [{"role": "user", "content": [block]}], "x": 1}
    changed = g.set_cache(body, "off")
    assert changed["cache_control"] is None
    assert "cache_control" not in json.dumps([changed["system"], changed["messages"]])
    assert changed["messages"][0]["content"][0]["text"] == "s"
    assert body["system"] == [block]


@pytest.mark.parametrize(
    ("body", "chars", "why"),
    [
        ({"max_tokens": 1000}, 300_000, None),
        ({"max_tokens": 1000}, 900_000, "may not fit"),
        ({"max_tokens": 70_000}, 30, "at most 64000"),
        ({"tools": [{}]}, 30, None),
        ({"messages": [{"content": [{"type": "image"}]}]}, 30, "supports_vision"),
        ({"thinking": {"type": "enabled"}}, 30, "supports_reasoning"),
        ({"response_format": {"type": "json_schema"}}, 30, "supports_response_schema"),
    ],
)
def test_a_model_must_be_able_to_answer(body: Json, chars: int, why: str | None) -> None:
    """Context, output, tools, modalities, thinking, schema."""
    said = g.misfit(g.needs_of(body, chars), BIG)
    assert said is None if why is None else why in str(said)
    assert g.misfit(g.needs_of(body, chars), None) is not None


# --- who asks ------------------------------------------------------------------------------------------------------


def test_team_and_environment_never_come_from_the_request() -> None:
    """A caller that claims another team or environment is not believed; its app and job are."""
    user = SimpleNamespace(
        team_alias="search", team_id="t", metadata={"env": "production"}, api_key="sk", key_alias="k"
    )
    claims = {"team": "ads", "environment": "staging", "app": "indexer", "job": "nightly"}
    metadata = {"spend_logs_metadata": claims, "tags": ["team:ads", "env:staging", "route:r"]}
    dims = g.resolve_dims(user, {"model": "m", "user": "bob"}, metadata)
    assert (dims["team"], dims["environment"]) == ("search", "production")
    assert (dims["app"], dims["job"], dims["route"], dims["end_user"]) == ("indexer", "nightly", "r", "bob")
    nobody = g.resolve_dims(SimpleNamespace(), {"model": "m"}, metadata)
    assert "team" not in nobody
    assert "environment" not in nobody


def test_a_key_is_never_sent_readable() -> None:
    """A key that LiteLLM left as it is becomes its SHA-256."""
    dims = g.resolve_dims(SimpleNamespace(api_key="my-own-format"), {}, {})
    assert len(dims["api_key_id"]) == 64


def test_claude_code_sessions_are_known_on_raw_routes() -> None:
    """The session is in metadata.user_id."""
    body = {"metadata": {"user_id": "user_1_session_abc-1"}}
    assert g.resolve_dims(SimpleNamespace(), body, {})["session_id"] == "abc-1"


# --- hints ---------------------------------------------------------------------------------------------------------


def test_hints_tell_prompts_and_prefixes_apart() -> None:
    """The prefix is system and tools; where a breakpoint stands changes nothing; the salt changes all."""
    one = {"system": "s" * 40, "messages": [{"role": "user", "content": "a"}]}
    two = {"system": "s" * 40, "messages": [{"role": "user", "content": "b"}]}
    marked = {
        "system": "s" * 40,
        "messages": [{"role": "user", "content": "a", "cache_control": {"type": "ephemeral"}}],
    }
    a, b, c = (g.hints_of(body, b"salt") for body in (one, two, marked))
    assert (a.prefix_hash, a.prefix_tokens) == (b.prefix_hash, 10)
    assert a.prompt_hash != b.prompt_hash
    assert a == c
    assert g.hints_of(one, b"other").prefix_hash != a.prefix_hash


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "text", "type", "cache_control", "metadata", "user_id", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
BODY = st.dictionaries(
    st.sampled_from(
        [
            *("messages", "system", "tools", "max_tokens", "thinking", "input", "metadata", "user", "stream"),
            *("reasoning", "reasoning_effort", "output_config", "service_tier", "speed"),
        ]
    ),
    JSON,
)


@given(BODY)
@settings(deadline=None, max_examples=150)
def test_changes_take_any_body(body: Json) -> None:
    """Bodies are hostile: whatever their shape, the changes are made or not, without a fault, and never in place."""
    before = json.dumps(body)
    assert all(value <= 64 for name, value in g.cap_output(body, 64).items() if name != "thinking")
    off = g.set_cache(body, "off")
    assert g.set_cache({**body, **off}, "off") in ({}, {name: None for name, value in off.items() if value is None})
    g.set_cache(body, "5m")
    lowered = g.lower_effort(body, "low")
    assert g.lower_effort({**body, **lowered}, "low") == {}
    g.standard_tier(body)
    g.misfit(g.needs_of(body, 10), BIG)
    g.hints_of(body, b"salt")
    assert json.dumps(body) == before


# --- where a head breaks ---------------------------------------------------------------------------------------------

STABLE = "You answer questions about the house rules of our search team. " * 20


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ({"system": f"Now: 2026-11-25T10:00:01Z {STABLE}"}, {"system": f"Now: 2026-11-25T10:00:07Z {STABLE}"}, "clock"),
        ({"system": f"It is 09:59. {STABLE}"}, {"system": f"It is 10:00. {STABLE}"}, "clock"),
        ({"system": f"{STABLE} at 1795651200"}, {"system": f"{STABLE} at 1795651333"}, "clock"),
        ({"system": f"Request 8c7e1f0a-1111-4a. {STABLE}"}, {"system": f"Request 9d8f2b1c-2222-4a. {STABLE}"}, "id"),
        ({"system": f"You have 7 credits. {STABLE}"}, {"system": f"You have 6 credits. {STABLE}"}, "number"),
        ({"system": f"{STABLE}Be brief."}, {"system": f"{STABLE}Be kind."}, "text"),
        ({"system": STABLE, "tools": [{"name": "a"}, {"name": "b"}]},
         {"system": STABLE, "tools": [{"name": "b"}, {"name": "a"}]}, "tool_order"),
        ({"system": STABLE, "tools": [{"name": "a"}]}, {"system": STABLE, "tools": [{"name": "a"}, {"name": "c"}]},
         "tools"),
        ({"messages": [{"role": "system", "content": [{"type": "text", "text": f"{STABLE}Be brief."}]}]},
         {"messages": [{"role": "system", "content": [{"type": "text", "text": f"{STABLE}Be kind."}]}]}, "text"),
    ],
)  # fmt: skip
def test_a_break_of_the_prefix_is_placed_and_named(before: Json, after: Json, kind: str) -> None:
    """By one word and an offset; the head before and after never leaves."""
    heads = g.Heads()
    assert heads.look("app", "hash-1", before) == {}
    found = heads.look("app", "hash-2", after)
    assert found["prefix_break_kind"] == kind
    assert heads.look("app", "hash-2", after) == {}


def test_the_offset_is_that_of_the_first_character_that_differs() -> None:
    """In tokens of four characters, tools first."""
    heads = g.Heads()
    heads.look("app", "1", {"system": STABLE + "x" + STABLE})
    assert heads.look("app", "2", {"system": STABLE + "y" + STABLE})["prefix_break_at"] == len(STABLE) // 4


def test_another_prompt_is_no_break() -> None:
    """Two prompts that one caller alternates between have nothing in common."""
    heads = g.Heads()
    heads.look("app", "1", {"system": STABLE})
    assert heads.look("app", "2", {"system": "Translate the following text into French. " * 20}) == {}


@given(BODY, BODY)
@settings(deadline=None, max_examples=150)
def test_any_two_heads_can_be_compared(one: Json, two: Json) -> None:
    """Whatever their shape: a place inside the head and a known word, or nothing."""
    heads = g.Heads()
    heads.look("app", "1", one)
    found = heads.look("app", "2", two)
    assert found == {} or found["prefix_break_kind"] in ("tool_order", "tools", "clock", "id", "number", "text")
