"""What people make of a pull request or an issue, over the real steps, ledger and gateway, beside a code host."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from agent.gateways import NotConfigured
from agent.verification import VerificationFacts
from agent.walk import Step
from store.ledger.ledger import open_ledger
from store.model.remedy import Action, OpenIssue, OpenPullRequest, Remedy, Verification
from store.model.usage import iso
from tests.servers.git_host import REPOSITORY, TOKEN, Paper, Repository
from tests.servers.git_host_github import GitHubHost
from tests.servers.git_host_gitlab import GitLabHost
from tests.servers.json_server import JsonServer
from tests.simulation.hand_clock import HandClock
from tests.simulation.story import HARMED, NO_EFFECT, REMEDY, TARGET, WORKED, Driver, incident, proposal, ruling, vote
from tools.actuators.pull_request import PullRequests
from tools.actuators.pull_request_github import GitHub
from tools.actuators.pull_request_gitlab import GitLab
from tools.actuators.pull_request_host import CodeHost

PULL = OpenPullRequest(
    target=TARGET, repository=REPOSITORY, path="prompts/a.md", content="mended\n", title="Mend", body="Why."
)
ISSUE = OpenIssue(target=TARGET, repository=REPOSITORY, title="The cache breaks", body="Since 09:00.")
# A pull request refuses nothing: its traffic is all served.
MENDED = WORKED._replace(refused=0)
LEASE_HOURS = 12


class Scene:
    """One approved plan at a code host, a clock, and people who answer it."""

    def __init__(self, server: JsonServer, repo: Repository, host: CodeHost) -> None:
        self.server, self.repo, self.clock = server, repo, HandClock()
        self.ledger = open_ledger("sqlite://", clock=self.clock)
        self.gateway = PullRequests(
            host, repositories=(REPOSITORY,), paths=("prompts/*.md",), patience_days=14, clock=self.clock
        )
        self.facts: Callable[[], VerificationFacts | None] = lambda: MENDED

    def open(self, action: Action) -> Paper:
        """File it, have it approved, and open it at the host."""
        plan = proposal(action).model_copy(
            update={"gateway": "pull_request", "lease_seconds": LEASE_HOURS * 3600, "base_version": None}
        )
        self.ledger.save_incident(incident())
        self.ledger.file(plan, ruling("ask"))
        self.ledger.cast(vote("ann", "approve", self.clock()))
        assert self.walk(until=lambda remedy: remedy.state == "verifying") == ["apply"]
        self.clock.move(300)
        return self.repo.papers[-1]

    def walk(self, until: Callable[[Remedy], bool] = lambda _: False, hours: float = 1) -> list[Step]:
        """Tick every five minutes; the steps that were taken."""
        driver = Driver(self.ledger, self.gateway, self.clock, facts=self.facts)
        taken: list[Step] = []
        end = self.clock() + timedelta(hours=hours)
        while self.clock() < end:
            while driver.due():
                step = driver.step()
                assert step is not None
                taken.append(step)
                if until(self.remedy):
                    return taken
            self.clock.move(300)
        return taken

    @property
    def remedy(self) -> Remedy:
        found = self.ledger.remedy(REMEDY)
        assert found is not None
        return found

    @property
    def ending(self) -> tuple[str, str | None]:
        return self.remedy.state, self.remedy.outcome

    @property
    def measured(self) -> list[Verification]:
        return self.ledger.verifications(REMEDY)

    def told(self) -> str:
        """The newest note that the thread was given."""
        rows = self.ledger.outbox_pending(limit=1000)
        return str([row.payload for row in rows if row.kind == "remedy_changed"][-1]["note"])


@pytest.fixture(params=["github", "gitlab"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    served = GitHubHost() if request.param == "github" else GitLabHost()
    server = JsonServer(served)
    host = GitHub(server.url, TOKEN) if request.param == "github" else GitLab(server.url + "/api/v4", TOKEN)
    made = Scene(server, served.repo, host)
    yield made
    assert made.ledger.verify_audit().ok
    made.ledger.close()
    server.close()


def at(moment: datetime) -> str:
    """As the hosts write it."""
    return iso(moment)


def test_nothing_is_measured_while_it_is_open(scene: Scene) -> None:
    """Hours of looking: no saving is claimed, whatever the traffic does."""
    scene.open(PULL)
    steps = scene.walk(hours=10)
    assert set(steps) == {"verify"}
    assert len(steps) > 20
    assert (scene.ending, scene.measured) == (("verifying", "applied"), [])


def test_a_merge_starts_the_measuring_at_its_own_time(scene: Scene) -> None:
    """Seen at the next look, counted from the merge; booked window by window, and kept by people at the end."""
    paper = scene.open(PULL)
    scene.walk(hours=7)
    merged = scene.clock()
    scene.repo.merge(paper, at(merged))
    scene.walk(until=lambda remedy: remedy.outcome == "made_permanent")
    assert (scene.ending, scene.remedy.applied_at) == (("verifying", "made_permanent"), merged)
    assert f"people took it up at {iso(merged)}" in scene.told()
    scene.walk(hours=6)
    assert scene.ending == ("kept", "worked")
    assert scene.measured[0].window.start == merged
    assert scene.measured[0].saved_mid_nanos == (100 - 12) * 10**9
    scene.walk(hours=LEASE_HOURS)
    assert scene.ending == ("closed", "made_permanent")
    assert scene.measured[-1].window.end <= merged + timedelta(hours=LEASE_HOURS)
    assert scene.repo.branches["main"].files["prompts/a.md"] == "mended\n"
    assert [one.verb for one in scene.ledger.applications(REMEDY)] == ["apply"]


def test_a_merge_that_a_reviewer_has_edited_counts_too(scene: Scene) -> None:
    """Another title and another commit on the branch: it still came from the plan."""
    paper = scene.open(PULL)
    paper.title = "What Ann calls it"
    scene.repo.commit(str(paper.branch), "prompts/a.md", "mended by Ann\n", "better")
    scene.walk(hours=5)
    assert scene.ending == ("verifying", "applied")
    scene.repo.merge(paper, at(scene.clock()))
    scene.walk(hours=5)
    assert scene.ending == ("kept", "worked")


def test_one_closed_without_a_merge_is_rejected(scene: Scene) -> None:
    """It ends with a plain word, and is not opened again."""
    paper = scene.open(PULL)
    closed = scene.clock() + timedelta(minutes=7)
    scene.repo.close(paper, at(closed))
    scene.walk(hours=2)
    assert (scene.ending, scene.measured) == (("closed", "rejected"), [])
    assert scene.told() == f"people closed it at {iso(closed)} without taking it up"
    assert len(scene.repo.papers) == 1


def test_an_issue_that_is_done_is_measured_too(scene: Scene) -> None:
    """Closed as done: from then on, as with a merge."""
    paper = scene.open(ISSUE)
    scene.walk(hours=3)
    done = scene.clock()
    scene.repo.close(paper, at(done), reason="completed")
    scene.walk(hours=4)
    assert scene.ending == ("kept", "worked")
    assert scene.measured[0].window.start == done


@pytest.mark.parametrize("scene", ["github"], indirect=True)
@pytest.mark.parametrize("reason", ["not_planned", "duplicate"])
def test_an_issue_that_is_not_planned_is_rejected(scene: Scene, reason: str) -> None:
    """GitHub says why it was closed."""
    scene.repo.close(scene.open(ISSUE), at(scene.clock()), reason=reason)
    scene.walk(hours=2)
    assert scene.ending == ("closed", "rejected")


def test_no_effect_after_a_merge_waits_for_the_release(scene: Scene) -> None:
    """A merge is no release: measured on, and what came before the effect is no saving; nothing is reverted."""
    paper = scene.open(PULL)
    scene.facts = lambda: NO_EFFECT._replace(refused=0)
    scene.repo.merge(paper, at(scene.clock()))
    scene.walk(hours=4)
    assert scene.ending == ("verifying", "made_permanent")
    assert {one.outcome for one in scene.measured} == {"no_effect"}
    scene.facts = lambda: MENDED
    scene.walk(hours=4)
    assert scene.ending == ("kept", "worked")


def test_harm_by_a_merge_calls_a_person(scene: Scene) -> None:
    """Bursar cannot take it back: it says so, and does nothing."""
    paper = scene.open(PULL)
    scene.facts = lambda: HARMED._replace(refused=0)
    scene.repo.merge(paper, at(scene.clock()))
    scene.walk(hours=4)
    assert scene.ending == ("paging", "harmed")
    assert "error_share rose" in scene.told()
    assert scene.repo.branches["main"].files["prompts/a.md"] == "mended\n"


def test_a_merge_between_two_looks_at_its_end_is_not_lost(scene: Scene) -> None:
    """Merged in the last minutes of its lease: found at the end, and measured all the same."""
    paper = scene.open(PULL)
    ends = scene.remedy.lease_ends_at
    assert ends is not None
    scene.clock.now = ends - timedelta(minutes=2)
    scene.repo.merge(paper, at(scene.clock()))
    scene.clock.now = ends
    assert scene.walk(hours=4)[0] == "expire"
    assert scene.ending == ("kept", "worked")
    assert scene.remedy.lease_ends_at == ends - timedelta(minutes=2) + timedelta(hours=LEASE_HOURS)


def test_undoing_a_merged_one_is_for_people(scene: Scene) -> None:
    """Said, and the measuring goes on."""
    paper = scene.open(PULL)
    scene.repo.merge(paper, at(scene.clock()))
    scene.walk(hours=4)
    assert scene.ledger.request_revert(REMEDY, by="ann", reason="undone by ann").status == "decided"
    assert scene.walk(hours=1)[0] == "revert"
    assert scene.ending == ("kept", "worked")
    assert "undo the merge" in scene.told()
    assert scene.remedy.revert_reason is None


def test_one_that_nobody_took_up_is_closed_at_its_end(scene: Scene) -> None:
    """As before: a loan that nobody wanted."""
    paper = scene.open(PULL)
    scene.walk(hours=LEASE_HOURS + 1)
    assert (scene.ending, paper.state) == (("closed", "returned"), "closed")


def test_a_host_that_does_not_answer_changes_nothing(scene: Scene) -> None:
    """No answer is neither a merge nor a no; the next look finds out."""
    paper = scene.open(PULL)
    scene.repo.merge(paper, at(scene.clock()))
    scene.server.read_faults.extend(["lost_request"])
    scene.walk(until=lambda _: True, hours=2)
    assert scene.ending == ("verifying", "applied")
    scene.walk(until=lambda _: True)
    assert scene.ending == ("verifying", "made_permanent")


def test_without_its_host_nothing_is_measured(scene: Scene) -> None:
    """Taken out of the configuration while it is open: no saving is claimed for what nobody can see."""
    scene.open(PULL)
    driver = Driver(scene.ledger, NotConfigured("pull_request"), scene.clock, facts=scene.facts)
    for _ in range(20):
        scene.clock.move(900)
        driver.step()
    assert (scene.ending, scene.measured) == (("verifying", "applied"), [])
