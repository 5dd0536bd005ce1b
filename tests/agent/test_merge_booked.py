"""The assembled service over a code host: what a merge saves is measured from the usage, and booked."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.entrypoints.views import remedy_document
from agent.policy import Policy
from agent.savings import by_team, histories
from agent.settings import Settings
from store.ledger.ledger import open_ledger
from store.model.remedy import OpenIssue
from store.model.usage import UsageRecord, iso
from tests.agent.test_gateway_verified import MINUTE, calls
from tests.servers.git_host import REPOSITORY, TOKEN
from tests.servers.git_host_gitlab import GitLabHost
from tests.servers.json_server import JsonServer
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.story import TARGET, incident, proposal, ruling
from tests.store.ledger.examples import a_decision
from tools.actuators.settings import PullRequestSettings

ISSUE = OpenIssue(target=TARGET, repository=REPOSITORY, title="The cache breaks", body="Since 09:00.")
HOUR = timedelta(hours=1)


@pytest.fixture
def host() -> Iterator[JsonServer]:
    server = JsonServer(GitLabHost())
    yield server
    server.close()


@pytest.fixture
def bursar(host: JsonServer, tmp_path: Path) -> Iterator[Bursar]:
    clock = HandClock()
    pulls = PullRequestSettings(
        host="gitlab", url=f"{host.url}/api/v4", token=SecretStr(TOKEN), repositories=(REPOSITORY,)
    )
    settings = Settings(data_dir=tmp_path, policy=Policy(mode="ask", approvers=("ann",)), pull_request=pulls)
    ledger = open_ledger("sqlite://", clock=clock)
    made = assemble(settings, clock=clock, owner="test", ledger=ledger, checkpointed=False)
    yield made
    made.close()


def spend(bursar: Bursar, start: datetime, end: datetime, *, cents: int) -> None:
    """Ten calls a minute, all of them served, at so many cents."""
    minutes = int((end - start) / MINUTE)
    records: list[UsageRecord] = [
        one._replace(cost_nanos=cents * 10**7)
        for minute in range(minutes)
        for one in calls(start + minute * MINUTE, served=10, refused=0)
    ]
    bursar.warehouse.append(records)
    bursar.warehouse.roll_up()


def test_what_a_merge_saves_is_booked_from_the_merge_on(host: JsonServer, bursar: Bursar) -> None:
    """Nothing while the issue is open, however the spend moves; then a hundred dollars an hour less ten."""
    clock, ledger = bursar.clock, bursar.ledger
    assert isinstance(clock, HandClock)
    assert isinstance(host.stand_in, GitLabHost)
    plan = proposal(ISSUE, lease_seconds=14 * 86_400).model_copy(update={"gateway": "pull_request"})
    ledger.save_incident(incident())
    ledger.file(plan, ruling())
    ledger.decide(a_decision(plan).model_copy(update={"decided_at": START}))
    done = START + 3 * HOUR
    spend(bursar, START - HOUR, done, cents=17)
    spend(bursar, done, done + 3 * HOUR, cents=2)
    bursar.reconcile()
    [paper] = host.stand_in.repo.papers
    for _ in range(12):
        clock.move(900)
        bursar.reconcile()
    assert ledger.verifications("rem-1") == []
    host.stand_in.repo.close(paper, iso(done))
    for _ in range(12):
        clock.move(900)
        bursar.reconcile()
    kept = ledger.remedy("rem-1")
    assert kept is not None
    assert (kept.state, kept.outcome, kept.applied_at) == ("kept", "worked", done), ledger.verifications("rem-1")
    [saved] = by_team(histories(ledger)).values()
    hours = saved.seconds / 3600
    assert saved.mid == pytest.approx(hours * 600 * (0.17 - 0.02) * 10**9, rel=0.02)
    assert saved.low <= saved.mid <= saved.high
    shown = remedy_document(ledger, kept)
    assert (shown["team"], shown["state"]) == ("search", "kept")
    assert str(shown["saved_text"]).startswith("$195.00 ($195.00 to $195.00) in 2 h 10 min, where ")
