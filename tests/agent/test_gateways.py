"""The assembled service with several gateways: which plan goes where, and its whole walk at each."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.gateways import NotConfigured, mark_of, open_gateways
from agent.policy import Policy, RulingFacts, rule
from agent.settings import Settings
from store.ledger.ledger import Ledger, open_ledger
from store.model.ports import Unreadable
from store.model.remedy import Action, BlockKey, Notify, OpenIssue, SetBudget, SetRateLimit, SetSessionCap
from store.model.usage import Scope
from tests.servers.anthropic_admin import ADMIN_KEY, WORKSPACE, AnthropicOrganisation
from tests.servers.git_host import REPOSITORY, TOKEN
from tests.servers.git_host_github import GitHubHost
from tests.servers.json_server import JsonServer
from tests.servers.litellm_keys import ADMIN, LiteLLMKeys
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.story import incident
from tests.store.ledger.examples import a_decision, a_proposal, a_ruling
from tools.actuators.settings import (
    AnthropicAdminSettings,
    GuardSettings,
    LiteLLMAdminSettings,
    OpenAIAdminSettings,
    PullRequestSettings,
)

TEAM = Scope.of(team="search")
LIMIT = SetRateLimit(target=TEAM, requests_per_minute=60)
ISSUE = OpenIssue(target=TEAM, repository=REPOSITORY, title="The cache breaks", body="Since 09:00.")
WORKSPACE_LIMIT = SetRateLimit(
    target=Scope.of({"tags.workspace_id": WORKSPACE, "model": "claude-opus-4-5"}), requests_per_minute=60
)


class World(NamedTuple):
    """A service and the servers around it."""

    bursar: Bursar
    clock: HandClock
    ledger: Ledger
    proxy: LiteLLMKeys
    host: GitHubHost
    anthropic: AnthropicOrganisation
    settings: Settings

    def approve(self, gateway: str, action: Action) -> None:
        """File a plan for an action and approve it."""
        changes = {"gateway": gateway, "actions": (action,), "scope": action.target}
        proposal = a_proposal(made_at=self.clock()).model_copy(update=changes)
        self.ledger.file(proposal, a_ruling(proposal))
        self.ledger.decide(a_decision(proposal).model_copy(update={"decided_at": self.clock()}))

    def state(self) -> tuple[str, str | None]:
        """Where the plan stands."""
        found = self.ledger.remedy("rem-1")
        assert found is not None
        return found.state, found.outcome

    def pass_(self, seconds: float) -> None:
        """Let time pass, and reconcile."""
        self.clock.move(seconds)
        self.bursar.reconcile()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    proxy, host, anthropic = LiteLLMKeys(), GitHubHost(), AnthropicOrganisation()
    proxy.add_team("search", rpm_limit=500)
    servers = [JsonServer(one) for one in (proxy, host, anthropic)]
    settings = Settings(
        data_dir=tmp_path,
        policy=Policy(mode="ask", approvers=("ann",)),
        litellm_admin=LiteLLMAdminSettings(url=servers[0].url, admin_key=SecretStr(ADMIN)),
        pull_request=PullRequestSettings(url=servers[1].url, token=SecretStr(TOKEN), repositories=(REPOSITORY,)),
        anthropic_admin=AnthropicAdminSettings(url=servers[2].url, admin_key=SecretStr(ADMIN_KEY)),
    )
    clock = HandClock()
    ledger = open_ledger("sqlite://", clock=clock)
    ledger.save_incident(incident())
    bursar = assemble(settings, clock=clock, owner="test", ledger=ledger, checkpointed=False)
    yield World(bursar, clock, ledger, proxy, host, anthropic, settings)
    bursar.close()
    for server in servers:
        server.close()


def test_a_limit_at_a_litellm_proxy_is_set_watched_and_returned(world: World) -> None:
    """Stored, then in force after a minute, then without data inconclusive, then at the lease's end as it was."""
    [team] = world.proxy.teams.values()
    world.approve(
        "litellm_admin", LIMIT.model_copy(update={"was": {"requests_per_minute": 500, "tokens_per_minute": None}})
    )
    world.pass_(0)
    assert (team["rpm_limit"], world.state()) == (60, ("applying", "approved"))
    world.pass_(60)
    assert world.state() == ("verifying", "applied")
    world.pass_(2 * 3600)
    assert world.state() == ("verifying", "inconclusive")
    world.pass_(24 * 3600)
    world.pass_(60)
    assert (team["rpm_limit"], team["metadata"], world.state()) == (500, {}, ("closed", "returned"))


def test_a_stale_plan_is_refused_and_a_human_change_stays(world: World) -> None:
    """The team's limit moved between plan and approval."""
    [team] = world.proxy.teams.values()
    world.approve("litellm_admin", LIMIT)
    world.pass_(0)
    assert (team["rpm_limit"], world.state()) == (500, ("closed", "stale"))


def test_an_issue_is_opened_waits_for_people_and_is_closed_at_the_end(world: World) -> None:
    """Nothing is measured while people have not acted; one that nobody took up is closed with its lease."""
    world.approve("pull_request", ISSUE)
    world.pass_(0)
    [paper] = world.host.repo.papers
    assert (paper.state, world.state()) == ("open", ("verifying", "applied"))
    world.pass_(23 * 3600)
    assert (paper.state, world.state()) == ("open", ("verifying", "applied"))
    world.pass_(3600)
    world.pass_(60)
    assert (paper.state, world.state()) == ("closed", ("closed", "returned"))


def test_a_workspace_limit_is_known_as_ours_by_the_ledger(world: World) -> None:
    """Anthropic has no place for a marker; it takes an hour, and is cleared at the end."""
    world.approve("anthropic_admin", WORKSPACE_LIMIT)
    world.pass_(0)
    assert world.anthropic.limits == {(WORKSPACE, "rl_1"): {"requests_per_minute": 60}}
    assert world.state() == ("applying", "approved")
    mark = mark_of(WORKSPACE_LIMIT, gateway="anthropic_admin", ledger=world.ledger)
    assert mark is not None
    assert (mark.remedy, mark.value, mark.at) == ("rem-1", WORKSPACE_LIMIT.to, START)
    assert mark_of(WORKSPACE_LIMIT, gateway="openai_admin", ledger=world.ledger) is None
    world.pass_(3600)
    assert world.state() == ("verifying", "applied")
    world.ledger.request_revert("rem-1", by="ann", reason="enough")
    world.pass_(0)
    assert (world.anthropic.limits, world.state()) == ({}, ("closed", "returned"))
    assert mark_of(WORKSPACE_LIMIT, gateway="anthropic_admin", ledger=world.ledger) is None


def test_a_key_that_was_deleted_in_the_meantime_needs_nobody(world: World) -> None:
    """A leaked key is rotated while it is blocked: at the end nothing is there that could answer again."""
    block = BlockKey(target=Scope.of(api_key_id=world.proxy.add_key("leaked")))
    world.approve("litellm_admin", block)
    world.pass_(0)
    world.pass_(60)
    assert world.state() == ("verifying", "applied")
    world.proxy.keys.clear()
    world.ledger.request_revert("rem-1", by="ann", reason="rotated")
    world.pass_(0)
    assert world.state() == ("closed", "drifted")


def test_a_key_that_the_proxy_does_not_know_is_not_read_as_free(world: World) -> None:
    """Nothing of ours is at work there: it is another proxy's key, or none."""
    gateways = open_gateways(world.settings, ledger=world.ledger, clock=world.clock)
    assert gateways is not None
    with pytest.raises(Unreadable, match="404"):
        gateways.observe(BlockKey(target=Scope.of(api_key_id="0" * 64)))
    gateways.close()


def test_a_gateway_that_left_the_configuration_pages(world: World, tmp_path: Path) -> None:
    """Its change cannot be read or taken back any more: after three looks a person is called."""
    world.approve(
        "litellm_admin", LIMIT.model_copy(update={"was": {"requests_per_minute": 500, "tokens_per_minute": None}})
    )
    world.pass_(0)
    world.pass_(60)
    without = world.settings.model_copy(update={"litellm_admin": None})
    later = assemble(without, clock=world.clock, owner="later", ledger=world.ledger, checkpointed=False)
    world.ledger.request_revert("rem-1", by="ann", reason="enough")
    for _ in range(4):
        later.reconcile()
        world.clock.move(60)
    assert world.state() == ("paging", "revert_failed")
    last = world.ledger.applications("rem-1")[-1]
    assert "litellm_admin is not configured: put it back into bursar.yaml" in last.detail


def test_a_plan_goes_to_the_first_gateway_that_takes_it(world: World, tmp_path: Path) -> None:
    """The guard where it can; else the one whose API has such a target; a note goes with any; nobody is said so."""
    guard = GuardSettings(token=SecretStr("0123456789abcdef"))
    openai = OpenAIAdminSettings(admin_key=SecretStr("sk-admin-x"))
    settings = world.settings.model_copy(update={"guard": guard, "openai_admin": openai})
    gateways = open_gateways(settings, ledger=world.ledger, clock=world.clock)
    assert gateways is not None
    assert gateways.names == ["guard", "litellm_admin", "anthropic_admin", "openai_admin", "pull_request"]
    project = Scope.of({"tags.project_id": "proj_1"})
    for actions, name in (
        ([LIMIT], "guard"),
        ([SetBudget(target=TEAM, max_nanos=10**9, period="day")], "litellm_admin"),
        ([SetBudget(target=project, max_nanos=10**9, period="month")], "openai_admin"),
        ([ISSUE], "pull_request"),
        ([Notify(target=TEAM, message="look")], "guard"),
        ([SetBudget(target=Scope.of(end_user="u1"), max_nanos=10**9, period="day")], None),
    ):
        found = gateways.route(actions)
        assert (found.name if found else None) == name
    with pytest.raises(Unreadable, match="no configured gateway takes set_budget"):
        gateways.observe(SetBudget(target=Scope.of(end_user="u1"), max_nanos=10**9, period="day"))
    gateways.close()


def test_without_a_guard_only_what_an_admin_api_can_hit_is_taken(world: World) -> None:
    """A session cap is the guard's alone; a plan in two parts goes where both can be done."""
    gateways = open_gateways(world.settings, ledger=world.ledger, clock=world.clock)
    assert gateways is not None
    key = BlockKey(target=Scope.of(api_key_id="key-1"))
    assert gateways.route([SetSessionCap(target=TEAM, max_calls=5)]) is None
    both = gateways.route([LIMIT, key])
    assert both is not None
    assert both.name == "litellm_admin"
    assert gateways.route([LIMIT, ISSUE]) is None
    gateways.close()


def test_no_admin_api_is_used_without_a_person(world: World) -> None:
    """In mode auto the same plan is asked, since none of them has a probe."""
    gateways = open_gateways(world.settings, ledger=world.ledger, clock=world.clock)
    assert gateways is not None
    for name in gateways.names:
        proposal = a_proposal(made_at=START).model_copy(
            update={"gateway": name, "actions": (LIMIT,), "playbook": "rate_limit"}
        )
        facts = RulingFacts(
            values={"environment": frozenset({"staging"}), "team": frozenset({"search"})},
            attested_share=1.0,
            capabilities=gateways.named(name)
            .capabilities()
            .model_copy(update={"handles": frozenset({"set_rate_limit"})}),
        )
        ruled = rule(proposal, Policy(mode="auto", approvers=("ann",)), facts, START + timedelta(hours=1))
        assert (ruled.verdict, "capabilities" in ruled.lowered_by) == ("ask", True)
    gateways.close()


def test_what_is_not_configured_tells_nothing_and_does_nothing() -> None:
    """Every verb says what to do about it."""
    nobody = NotConfigured("guard")
    sent = nobody.apply(LIMIT, marker="rem-1", idempotency_key="k", expected_version=None, expires_at=START)
    back = nobody.revert(LIMIT, marker="rem-1", idempotency_key="k", expected_version=None)
    assert (sent.status, back.status) == ("refused", "refused")
    assert nobody.probe(LIMIT, marker="rem-1").status == "unsure"
    with pytest.raises(Unreadable, match="the gateway guard is not configured"):
        nobody.observe(LIMIT)
