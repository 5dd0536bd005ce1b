"""A Bursar that turned against its operator: whatever it signs, the guard stays within the ceiling file."""

import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tools.guard.control import Json, payload, rule
from tests.tools.guard.test_guard_life import NOW, SIGNER, Time, guard_in
from tools.guard import bursar_guard as g

TEAMS, APPS, KEYS = ("search", "ads", "finance"), ("indexer", "payments", "bot"), ("bursar-own", "k1", "k2")
ALLOWED_SWAPS = {"claude-small", "gpt-narrow", "not-served-here"}
MODELS = ("claude-big", "claude-small", "gpt-big", "gpt-narrow", "dearest")
CALLS = 25


def anything(rng: random.Random) -> Any:
    """A number, a word, or what should not be there at all."""
    return rng.choice([0, 1, 2, 15, 16, 17, 10**9, -1, 1.5, True, None, "", "low", "standard", "5m", [], {}])


def random_rule(rng: random.Random) -> Json:
    """A rule of any kind for any target with any values, sound ones and unsound ones."""
    kind = rng.choice([*g.KINDS, "delete_everything"])
    values = {"team": TEAMS, "app": APPS, "api_key_id": KEYS, "model": MODELS, "session_id": ("s1", "s2")}
    target = {name: rng.choice(values[name]) for name in rng.sample(sorted(values), rng.randint(0, 3))}
    sound: dict[str, dict[str, Any]] = {
        "set_model_alias": {"from_model": rng.choice(MODELS), "to_model": rng.choice(MODELS)},
        "set_rate_limit": {"requests_per_minute": rng.randint(-1, 5), "tokens_per_minute": rng.choice([None, 0, 50])},
        "set_session_cap": {"max_calls": rng.randint(-1, 5)},
        "set_output_cap": {"max_tokens": rng.randint(0, 40)},
        "set_context_cap": {"max_input_tokens": rng.choice([1, 999, 1000, 1001])},
        "set_reasoning_effort": {"effort": rng.choice(g.EFFORTS)},
        "set_service_tier": {"tier": rng.choice(["standard", "priority"])},
        "set_prompt_cache": {"ttl": rng.choice(["5m", "1h", "off", "9y"])},
        "block_key": {"blocked": rng.choice([True, False, 1])},
    }
    settings = sound.get(kind, {})
    if rng.random() < 0.2 and settings:
        settings[rng.choice(sorted(settings))] = anything(rng)
    return {**rule(kind, target, remedy=f"rem-{rng.random()}", **settings), "expires_at": "2026-11-26T00:00:00Z"}


def random_call(rng: random.Random, number: int) -> tuple[SimpleNamespace, Json]:
    """Any caller's request."""
    user = SimpleNamespace(
        team_alias=rng.choice(TEAMS), metadata={"app": rng.choice(APPS)}, key_alias=rng.choice(KEYS), api_key=None
    )
    body = {
        "model": rng.choice(MODELS),
        "messages": [{"role": "user", "content": "x" * rng.choice([10, 8000])}],
        "metadata": {},
        "litellm_call_id": f"call-{number}",
        "litellm_session_id": rng.choice(["s1", "s2", "s3"]),
        "max_tokens": rng.choice([8, 64, 5000]),
        "reasoning_effort": rng.choice(g.EFFORTS),
        "service_tier": rng.choice(["priority", "flex"]),
    }
    return user, body


def judge(user: SimpleNamespace, before: Json, after: Json, stop: g.Stop | None) -> None:
    """What must hold of a call, whatever was signed."""
    outside = user.team_alias not in ("search", "ads")
    protected = user.key_alias == "bursar-own" or user.metadata["app"] == "payments"
    changed = {name for name in before if name != "metadata" and after.get(name) != before[name]}
    if outside or protected:
        assert stop is None
        assert not changed
    if "model" in changed:
        assert after["model"] in ALLOWED_SWAPS
    if "max_tokens" in changed:
        assert 16 <= after["max_tokens"] < before["max_tokens"]
    if "reasoning_effort" in changed:
        assert after["reasoning_effort"] in ("low", "medium", "high")
        assert g.EFFORTS.index(after["reasoning_effort"]) < g.EFFORTS.index(before["reasoning_effort"])
    if "service_tier" in changed:
        assert (before["service_tier"], after["service_tier"]) == ("priority", "default")
    if stop is not None and stop.fields["bursar"]["kind"] == "set_context_cap":
        assert len(before["messages"][0]["content"]) // 4 > 1000


def play(folder: Path, *, seed: int, rules: int) -> tuple[int, int]:
    """Sets of fifty random rules, and random calls at each; how many calls were refused and how many changed."""
    rng, clock = random.Random(seed), Time()
    guard = guard_in(folder, clock)
    for sequence in range(1, rules // 50 + 1):
        rows = [random_rule(rng) for _ in range(50)]
        guard.book.accept(SIGNER.rules(payload(sequence, rows, now=NOW)), keep=False)
        guard.book.share(rng.randint(0, 9), rng.randint(1, 10**6))
        admitted: Counter[str] = Counter()
        for number in range(CALLS):
            user, body = random_call(rng, number)
            before = {**body}
            stop = guard.before(user, body, "acompletion")
            judge(user, before, body, stop)
            session = body["litellm_session_id"]
            if stop is None:
                admitted[session] += 1
            elif stop.fields["bursar"]["kind"] == "set_session_cap":
                assert admitted[session] >= 2, "the lowest session cap of the ceiling file is two calls"
    assert guard.counters["errors"] == 0
    return guard.counters["refused"], guard.counters["changed"]


def test_signed_rules_never_go_beyond_the_ceiling(tmp_path: Path) -> None:
    """Five thousand random rules; some of them do refuse and change calls, or the test would prove nothing."""
    refused, changed = play(tmp_path, seed=1, rules=5_000)
    assert refused > 50
    assert changed > 50


@pytest.mark.exam
def test_a_hundred_thousand_signed_rules_never_go_beyond_the_ceiling(tmp_path: Path) -> None:
    """The same at the size of the exam."""
    refused, changed = play(tmp_path, seed=2, rules=100_000)
    assert refused > 1_000
    assert changed > 1_000
