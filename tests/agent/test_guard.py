"""The assembled service with `guard:` configured: from an approval to a rule that every proxy follows, and back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.guard import guard_gateway, guard_publisher, guard_signer
from agent.policy import Owner, Policy
from agent.settings import Settings, load
from store.errors import BadInput
from store.model.remedy import Proposal, Remedy
from store.model.usage import Scope
from tests.simulation.hand_clock import START
from tests.store.ledger.examples import a_decision, a_proposal, a_ruling
from tests.tools.actuators.rig import POLL_SECONDS, TOKEN, Installation, installation
from tools.actuators.settings import GuardSettings

LEASE = timedelta(hours=24)


class Service(NamedTuple):
    """An assembled Bursar and the guard around it."""

    bursar: Bursar
    here: Installation

    def remedy(self) -> Remedy:
        found = self.bursar.ledger.remedy("rem-1")
        assert found is not None
        return found

    def served(self) -> list[str]:
        """The remedies that the proxy has rules of."""
        rules = (self.here.proxy.rules or {"rules": []})["rules"]
        return [rule["remedy_id"] for rule in rules]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with installation(tmp_path) as here:
        policy = Policy(mode="ask", owners=(Owner(scope={"team": "search"}, channel="#search"),), approvers=("ann",))
        settings = Settings(data_dir=tmp_path, guard=here.settings, policy=policy)
        bursar = assemble(settings, clock=here.clock, owner="test", ledger=here.ledger, checkpointed=False)
        yield Service(bursar, here)
        bursar.close()


def approve(service: Service) -> Proposal:
    proposal = a_proposal(made_at=START).model_copy(update={"gateway": "guard"})
    service.bursar.ledger.file(proposal, a_ruling(proposal))
    service.bursar.ledger.decide(a_decision(proposal))
    return proposal


def test_an_approved_plan_reaches_the_proxies_and_is_returned(service: Service) -> None:
    """Stored is not in force: that takes the proxies' word and a probe. At the lease's end it is gone by itself."""
    approve(service)
    service.bursar.reconcile()
    assert (service.remedy().state, service.served()) == ("applying", [])
    service.here.clock.move(60)
    service.bursar.reconcile()
    assert (service.remedy().state, service.served()) == ("verifying", ["rem-1"])
    service.here.clock.move(LEASE.total_seconds())
    service.bursar.reconcile()
    assert (service.remedy().state, service.remedy().outcome, service.served()) == ("closed", "returned", [])


def test_a_revert_takes_it_from_the_proxies(service: Service) -> None:
    """Asked for by a person, before the lease ends."""
    approve(service)
    service.bursar.reconcile()
    service.here.clock.move(60)
    service.bursar.reconcile()
    service.bursar.ledger.request_revert("rem-1", by="ann", reason="too tight")
    service.bursar.reconcile()
    service.here.clock.move(POLL_SECONDS)
    assert (service.remedy().state, service.served()) == ("closed", [])


def test_a_ceiling_file_wins_over_an_approval(service: Service) -> None:
    """What the proxy's operator does not allow is never in force; after three looks it is taken back."""
    approve(service)
    service.here.proxy.refuse = {"rem-1": "the ceiling file does not allow set_rate_limit"}
    for _ in range(8):
        service.bursar.reconcile()
        service.here.clock.move(60)
    assert (service.remedy().state, service.remedy().outcome, service.served()) == ("closed", "failed", [])


def test_a_rule_says_the_cause_and_the_owners_channel(service: Service) -> None:
    """The people whose calls are limited learn why, and whom to ask."""
    approve(service)
    service.bursar.reconcile()
    service.here.clock.move(POLL_SECONDS)
    assert service.here.proxy.rules is not None
    [rule] = service.here.proxy.rules["rules"]
    assert rule["reason"] == "spend of team=search is far above normal; likely cause: agent loop"
    assert (rule["owner"], rule["revision"]) == ("#search", 1)


def test_without_a_guard_there_is_none(tmp_path: Path) -> None:
    """No key is made, and no rules are served."""
    settings = Settings(data_dir=tmp_path)
    with installation(tmp_path / "other") as here:
        assert guard_gateway(settings, ledger=here.ledger, clock=here.clock) is None
        assert guard_publisher(settings, ledger=here.ledger) is None
    assert not (tmp_path / "guard.key").exists()


def test_the_key_may_lie_elsewhere(tmp_path: Path) -> None:
    """Replicas share one file."""
    shared = tmp_path / "shared" / "key"
    signers = [
        guard_signer(
            Settings(data_dir=tmp_path / name, guard=GuardSettings(token=SecretStr(TOKEN), private_key=shared))
        )
        for name in ("one", "two")
    ]
    assert len({signer.public_key for signer in signers}) == 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("guard: {token: hush}", "guard.token"),
        ("guard: {}", "guard.token"),
        ("guard:\n  token: ${BURSAR_GUARD_TOKEN}\n  proxy_url: litellm", "guard.proxy_url"),
        ("guard:\n  token: ${BURSAR_GUARD_TOKEN}\n  proxy_url: https://ann:hush@litellm", "guard.proxy_url"),
        ("intake: {token: ''}", "intake.token"),
    ],
)
def test_what_cannot_be_right_is_named(tmp_path: Path, lines: str, says: str) -> None:
    """One line that names the key, and never the secret."""
    path = tmp_path / "bursar.yaml"
    path.write_text(lines)
    with pytest.raises(BadInput, match=says) as caught:
        load(path, environment={"BURSAR_GUARD_TOKEN": TOKEN})
    assert TOKEN not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    """`bursar check` prints the settings; tokens are not among them, wherever they came from."""
    path = tmp_path / "bursar.yaml"
    path.write_text(f"guard: {{token: {TOKEN}}}\nintake: {{token: {TOKEN}}}")
    settings = load(path).settings
    assert TOKEN not in settings.model_dump_json()
    assert TOKEN not in repr(settings)
    assert settings.guard is not None
    assert settings.guard.token.get_secret_value() == TOKEN


def test_the_scope_of_a_long_name_does_not_flood_the_rule(service: Service) -> None:
    """Names come from traffic; the reason stays short."""
    scope = Scope.of(team="search", app="x" * 500)
    proposal = a_proposal(made_at=START).model_copy(update={"gateway": "guard", "scope": scope})
    service.bursar.ledger.file(proposal, a_ruling(proposal))
    service.bursar.ledger.decide(a_decision(proposal))
    service.bursar.reconcile()
    service.here.clock.move(POLL_SECONDS)
    assert service.here.proxy.rules is not None
    assert len(service.here.proxy.rules["rules"][0]["reason"]) < 400
