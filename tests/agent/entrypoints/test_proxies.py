"""What `status` and `check --online` say of the proxies with the guard inside."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.entrypoints.proxies import guard_document, guard_lines, guard_state
from agent.settings import Settings
from store.ledger.guard_values import Held, ProxyReport, RefusedRule, Slot
from store.ledger.ledger import Ledger, open_ledger
from store.model.usage import Scope
from tests.agent.entrypoints.test_cli import bursar
from tools.actuators.settings import GuardSettings

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
TOKEN = "a-token-of-this-installation"
GUARDED = Settings(guard=GuardSettings(token=SecretStr(TOKEN)))
RULE = Held(value={"max_calls": 20}, marker="rem-1", revision=1)


def with_one_rule(ledger: Ledger) -> Ledger:
    """The book then has the sequence 1."""
    ledger.guard_set(Slot("set_session_cap", Scope.of({"app": "bot"})), RULE, key="k", expected_version=None)
    return ledger


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger whose rule book holds one rule."""
    ledger = open_ledger("sqlite://", clock=lambda: NOW)
    yield with_one_rule(ledger)
    ledger.close()


def state(ledger: Ledger, now: datetime = NOW) -> str | None:
    """What the check says."""
    return guard_state(GUARDED, ledger=ledger, now=now)


def test_without_a_live_proxy_it_says_where_to_look(ledger: Ledger) -> None:
    """Nothing reports, or not any more: no rule can be in force."""
    assert (state(ledger) or "").startswith("no proxy reports")
    assert guard_lines(guard_document(GUARDED, ledger=ledger, now=NOW)) == ["no proxy reports; the rule set is 1"]
    ledger.guard_report(ProxyReport(proxy_id="a", sequence=1))
    assert (state(ledger, NOW + timedelta(seconds=29)) or "").startswith("ok")
    assert (state(ledger, NOW + timedelta(seconds=31)) or "").startswith("no proxy reports")


def test_proxies_that_hold_the_current_set_are_counted(ledger: Ledger) -> None:
    """Current is who holds the newest sequence; the check is fine when all do."""
    ledger.guard_report(ProxyReport(proxy_id="a", sequence=1, counters={"seen": 7, "refused": 2}))
    assert state(ledger) == "ok, 1 live, all hold rule set 1"
    ledger.guard_report(ProxyReport(proxy_id="b", sequence=0))
    assert state(ledger) == "proxy b holds rule set 0, not 1"
    found = guard_document(GUARDED, ledger=ledger, now=NOW)
    assert found is not None
    assert (found["live"], found["current"]) == (2, 1)
    assert guard_lines(found) == [
        "1 of 2 live proxies carry out rule set 1",
        "a (current): 2 refused, 7 seen",
        "b (holds rule set 0, not 1): no calls counted",
    ]


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (ProxyReport(proxy_id="a", sequence=1, off=True), "proxy a is switched off by its operator"),
        (ProxyReport(proxy_id="a"), "proxy a holds no rules"),
        (
            ProxyReport(proxy_id="a", sequence=1, refused_rules=(RefusedRule(remedy_id="rem-1", why="never touch"),)),
            "proxy a will not follow rem-1: never touch",
        ),
    ],
)
def test_a_proxy_that_does_not_carry_out_the_rules_is_named(ledger: Ledger, report: ProxyReport, says: str) -> None:
    """Switched off, without rules, or with a ceiling file that says no."""
    ledger.guard_report(report)
    assert state(ledger) == says


def test_an_installation_without_a_guard_says_so(ledger: Ledger) -> None:
    """No guard is no fault."""
    assert guard_state(Settings(), ledger=ledger, now=NOW) is None
    assert guard_lines(guard_document(Settings(), ledger=ledger, now=NOW)) == ["not configured"]


def test_status_and_check_tell_it(tmp_path: Path) -> None:
    """`status` shows the proxies; `check --online` fails where none is live."""
    (tmp_path / "bursar.yaml").write_text("guard:\n  token: ${BURSAR_GUARD_TOKEN}\n  poll_seconds: 300\n")
    env = {"BURSAR_GUARD_TOKEN": TOKEN}
    checked = bursar("check", "--online", "--json", cwd=tmp_path, env=env)
    assert checked.returncode == 1
    assert "no proxy reports" in {one["part"]: one["state"] for one in json.loads(checked.stdout)["parts"]}["guard"]
    ledger = open_ledger(f"sqlite:///{tmp_path / 'bursar-data' / 'ledger.db'}", clock=lambda: datetime.now(UTC))
    ledger.guard_report(ProxyReport(proxy_id="a", sequence=1))
    with_one_rule(ledger)
    ledger.close()
    found = json.loads(bursar("status", "--json", cwd=tmp_path, env=env).stdout)["guard"]
    assert (found["live"], found["proxies"][0]["proxy"]) == (1, "a")
