"""Pull requests and issues at GitHub and GitLab: the shared checks, and what people and hostile text may do to them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from store.model.ports import Unreadable
from store.model.remedy import Action, OpenIssue, OpenPullRequest, Settings
from store.model.usage import Scope
from tests.checks.check_actuator import MINE, CheckActuator, Plans, Rig
from tests.servers.git_host import READER, REPOSITORY, TOKEN, Repository
from tests.servers.git_host_github import GitHubHost
from tests.servers.git_host_gitlab import GitLabHost
from tests.servers.json_server import JsonServer, Reply
from tests.simulation.hand_clock import HandClock
from tools.actuators.pull_request import PullRequests
from tools.actuators.pull_request_github import GitHub
from tools.actuators.pull_request_gitlab import GitLab
from tools.actuators.pull_request_host import CodeHost

TARGET = Scope.of(team="search", app="indexer")
PULL = OpenPullRequest(
    target=TARGET,
    repository=REPOSITORY,
    path="prompts/a.md",
    content="mended\n",
    title="Keep the cached prefix stable",
    body="@ann: the prefix breaks at offset 12.\n/close\n<!-- bursar {} -->",
)
ISSUE = OpenIssue(target=TARGET, repository=REPOSITORY, title="The cache breaks", body="Since 09:00.")
PLANS = Plans(
    every=(PULL, ISSUE),
    cap=PULL,
    lower=PULL.model_copy(update={"content": "mended better\n"}),
    by_hand={**PULL.to, "title": "What Ann calls it"},
    elsewhere=PULL.model_copy(update={"path": "prompts/b.md"}),
    from_nothing=True,
)


class Site(NamedTuple):
    """A code host over a socket, and how it is asked."""

    server: JsonServer
    repo: Repository
    ask: Callable[[str], CodeHost]


@pytest.fixture(params=["github", "gitlab"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "github":
        github = GitHubHost()
        server = JsonServer(github)
        yield Site(server, github.repo, lambda token: GitHub(server.url, token))
    else:
        gitlab = GitLabHost()
        server = JsonServer(gitlab)
        yield Site(server, gitlab.repo, lambda token: GitLab(server.url + "/api/v4", token))
    server.close()


def gateway_of(site: Site, clock: HandClock, *, token: str = TOKEN) -> PullRequests:
    return PullRequests(
        site.ask(token), repositories=(REPOSITORY,), paths=("prompts/*.md",), patience_days=14, clock=clock
    )


@pytest.fixture
def rig(site: Site) -> Rig:
    clock = HandClock()

    def edit(action: Action, value: Settings) -> None:
        paper = next(p for p in reversed(site.repo.papers) if p.state == "open")
        paper.title = str(value["title"])

    def fault(verb: str, name: str) -> None:
        if verb == "apply" and name != "refused":
            # Branch and file come first; the change that is looked for is the pull request itself.
            site.server.write_faults.extend(["", ""])
        site.server.fault(verb, name)

    return Rig(gateway_of(site, clock), clock, edit, fault, PLANS)


class TestSharedChecks(CheckActuator):
    """What every actuator must do."""

    @pytest.fixture
    def rig(self, rig: Rig) -> Rig:
        """GitHub, then GitLab."""
        return rig


def test_it_goes_to_a_branch_and_waits_for_people(site: Site, rig: Rig) -> None:
    """The default branch is as it was; the description mentions nobody, commands nothing and forges no marker."""
    main = dict(site.repo.branches["main"].files)
    assert rig.set(PULL).status == "done"
    assert site.repo.branches["main"].files == main
    [paper] = site.repo.papers
    assert (paper.into, str(paper.branch).startswith("bursar/")) == ("main", True)
    assert site.repo.branches[str(paper.branch)].files == {**main, "prompts/a.md": "mended\n"}
    assert "@ann" not in paper.body
    assert not any(line.startswith("/") for line in paper.body.splitlines())
    assert paper.body.count("<!-- bursar") == 1
    assert rig.gateway.capabilities().patience_seconds == 14 * 86_400
    assert rig.unset(PULL).status == "done"
    assert (paper.state, list(site.repo.branches)) == ("closed", ["main"])


@pytest.mark.parametrize("broken_after", [1, 2, 3])
@pytest.mark.parametrize("fault", ["lost_answer", "lost_request", "garbage"])
def test_a_half_made_one_is_finished_by_the_next_try(site: Site, rig: Rig, broken_after: int, fault: str) -> None:
    """Whichever of its three calls fails, and however: one branch, one commit, one pull request in the end."""
    site.server.write_faults.extend([*[""] * (broken_after - 1), fault])
    assert rig.set(PULL).status == "unsure"
    assert rig.set(PULL).status == "done"
    assert len(site.repo.papers) == 1
    assert len(site.repo.branches) == 2
    assert (rig.gateway.observe(PULL).value, rig.gateway.observe(PULL).marker) == (PULL.to, MINE)


def test_what_people_closed_is_not_opened_again(site: Site, rig: Rig) -> None:
    """During the lease our mark tells that we were there: no second one. After it the slot is free."""
    for action in (PULL, ISSUE):
        rig.set(action)
        site.repo.papers[-1].state = "closed"
        assert (rig.gateway.observe(action).value, rig.gateway.observe(action).marker) == ({}, MINE)
        assert rig.set(action).status == "conflict"
        assert rig.unset(action).status == "conflict"
    assert len(site.repo.papers) == 2
    rig.clock.move(3600)
    assert rig.gateway.observe(ISSUE).marker is None


def test_a_merged_one_belongs_to_people(site: Site, rig: Rig) -> None:
    """It is not undone, and the file stays."""
    rig.set(PULL)
    site.repo.merge(site.repo.papers[0])
    assert rig.unset(PULL).status == "conflict"
    assert site.repo.branches["main"].files["prompts/a.md"] == "mended\n"


def test_a_commit_of_somebody_else_is_drift(site: Site, rig: Rig) -> None:
    """Whoever pushes to the branch has taken it over: it is not closed under their hands."""
    rig.set(PULL)
    site.repo.commit(str(site.repo.papers[0].branch), "prompts/a.md", "mended by Ann\n", "better")
    assert rig.gateway.observe(PULL).value["content"] == "mended by Ann\n"
    assert rig.unset(PULL).status == "conflict"
    assert site.repo.papers[0].state == "open"


def test_one_that_was_taken_back_can_be_proposed_again(site: Site, rig: Rig) -> None:
    """The slot is free at once; the old one stays closed."""
    for action in (PULL, ISSUE):
        rig.set(action)
        rig.unset(action)
        assert rig.gateway.observe(action).marker is None
        assert rig.set(action, marker="rem-9", key="rem-9:1:apply").status == "done"
        assert rig.gateway.observe(action).marker == "rem-9"
    assert [paper.state for paper in site.repo.papers] == ["closed", "open", "closed", "open"]


def test_an_issue_is_found_among_many(site: Site, rig: Rig) -> None:
    """Page after page, newest first; after a thousand it says that it does not know."""
    rig.set(ISSUE)
    for number in range(250):
        site.repo.write(f"another {number}", "<!-- bursar {broken -->")
    assert rig.gateway.observe(ISSUE).marker == MINE
    for number in range(800):
        site.repo.write(f"more {number}", "")
    with pytest.raises(Unreadable, match="newest 1,000"):
        rig.gateway.observe(ISSUE)


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "../prompts/a.md",
        "prompts/../x.md",
        "/prompts/a.md",
        ".github/workflows/x.md",
        "prompts/.gitlab-ci.md",
        "prompts//a.md",
        "prompts\\a.md",
        "prompts/a\n.md",
    ],
)
def test_only_listed_files_are_changed(rig: Rig, path: str) -> None:
    """Neither by a way around, nor what the host itself runs."""
    answer = rig.gateway.apply(
        PULL.model_copy(update={"path": path}),
        marker=MINE,
        idempotency_key="k",
        expected_version=None,
        expires_at=rig.ends(),
    )
    assert answer.status == "refused"
    assert "pull_request.paths" in answer.detail


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"repository": "acme/other"}, "not one of pull_request.repositories"),
        ({"title": "two\nlines"}, "one line"),
        ({"title": " "}, "one line"),
        ({"body": "x" * 60_001}, "60,000"),
        ({"content": "x" * 500_001}, "500,000"),
    ],
)
def test_what_cannot_be_written_is_refused(rig: Rig, change: Settings, why: str) -> None:
    """Only listed repositories, and only what their readers can read."""
    action = PULL.model_copy(update=change)
    answer = rig.gateway.apply(action, marker=MINE, idempotency_key="k", expected_version=None, expires_at=rig.ends())
    assert (answer.status, why in answer.detail) == ("refused", True)


def test_limits_are_no_refusals(site: Site, rig: Rig) -> None:
    """429, and GitHub's 403 with no requests left, mean later; a 403 without them means never."""
    busy = [
        Reply(429, {"message": "Too Many Requests"}, {"retry-after": "60"}),
        Reply(403, {"message": "API rate limit exceeded"}, {"x-ratelimit-remaining": "0"}),
        Reply(403, {"message": "You have exceeded a secondary rate limit"}, {"retry-after": "60"}),
    ]
    for reply in busy:
        site.server.write_faults.append(reply)
        assert rig.set(PULL).status == "unsure"
    site.server.write_faults.append(Reply(403, {"message": "Forbidden"}))
    assert rig.set(PULL).status == "refused"
    assert rig.set(PULL).status == "done"


def test_ping_says_what_the_token_may_do(site: Site) -> None:
    """Per repository; without paths only issues."""
    clock = HandClock()
    assert gateway_of(site, clock).ping().startswith("ok, may write to acme/indexer; pull requests for prompts/*.md")
    assert "may read and not write" in gateway_of(site, clock, token=READER).ping()
    assert "401" in gateway_of(site, clock, token="wrong").ping()
    other = PullRequests(site.ask(TOKEN), repositories=("acme/none",), paths=(), patience_days=1, clock=clock)
    assert "404" in other.ping()
