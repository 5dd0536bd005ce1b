"""`bursar extend` and `bursar resolve`: who may, what is shown and kept, and that the gateway is looked at first."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from agent.entrypoints.cli import app
from store.errors import BadInput
from store.ledger.guard_values import Held, slot_of
from store.ledger.ledger import Ledger, open_ledger
from store.model.remedy import Outcome, RemedyState, SetRateLimit
from store.model.usage import Scope, iso
from tests.servers.json_server import JsonServer
from tests.servers.litellm_keys import ADMIN, LiteLLMKeys
from tests.store.ledger.examples import a_decision, a_proposal, a_ruling, an_application

LIMIT = SetRateLimit(target=Scope.of(team="search"), requests_per_minute=60)
CONFIG = """
policy: {{mode: ask, approvers: [ann, ben]}}
guard: {{token: 0123456789abcdef}}
litellm_admin: {{url: "{url}", admin_key: "${{BURSAR_LITELLM_ADMIN_KEY}}", propagation_seconds: 0}}
pull_request: {{url: "{url}", token: "${{BURSAR_LITELLM_ADMIN_KEY}}", repositories: [acme/indexer]}}
"""


class Desk(NamedTuple):
    """A folder with a configuration and a ledger, and the proxy that it names."""

    folder: Path
    ledger: Ledger
    proxy: LiteLLMKeys
    server: JsonServer

    def bring_to(
        self, state: RemedyState, *, gateway: str = "litellm_admin", outcome: Outcome = "applied", quorum: int = 1
    ) -> datetime:
        """A remedy that has come so far; when its lease ends."""
        now = datetime.now(UTC).replace(microsecond=0)
        proposal = a_proposal(made_at=now).model_copy(update={"gateway": gateway, "actions": (LIMIT,)})
        self.ledger.file(proposal, a_ruling(proposal, approvers=("ann", "ben"), quorum=quorum))
        self.ledger.decide(a_decision(proposal))
        claimed = self.ledger.claim("rem-1", owner="w", lease_seconds=60)
        assert claimed is not None
        claim, remedy = claimed
        assert self.ledger.intend(claim, an_application(proposal, claim), remedy)
        ends = now + timedelta(hours=24)
        changes = {"state": state, "outcome": outcome, "lease_ends_at": ends, "applied_at": now, "due_at": ends}
        assert self.ledger.conclude(claim, remedy.model_copy(update=changes))
        return ends

    def standing(self) -> tuple[RemedyState, Outcome | None]:
        """Where it is now."""
        found = self.ledger.remedy("rem-1")
        assert found is not None
        return found.state, found.outcome

    def run(self, *words: str) -> tuple[int, str]:
        """A command's exit code, and all that it printed."""
        config = ["--config", str(self.folder / "bursar.yaml"), "--data-dir", str(self.folder)]
        done = CliRunner().invoke(app, [*config, *words], env={"BURSAR_LITELLM_ADMIN_KEY": ADMIN})
        if isinstance(done.exception, BadInput):
            return 2, str(done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    proxy = LiteLLMKeys()
    proxy.add_team("search")
    server = JsonServer(proxy)
    (tmp_path / "bursar.yaml").write_text(CONFIG.format(url=server.url))
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=lambda: datetime.now(UTC))
    yield Desk(tmp_path, ledger, proxy, server)
    ledger.close()
    server.close()


def stands(desk: Desk, *, marker: str = "rem-1", rpm: int = 60) -> None:
    """The proxy holds a limit under a marker."""
    [team] = desk.proxy.teams.values()
    kept = {
        "remedy": marker,
        "set": LIMIT.to,
        "at": "2026-11-02T09:00:00Z",
        "ends": "2100-01-01T00:00:00Z",
        "before": {},
    }
    team.update(rpm_limit=rpm, metadata={"bursar_remedies": {"set_rate_limit": kept}})


def test_an_extension_asks_again_and_moves_the_end(desk: Desk) -> None:
    """The plan and both ends are shown; after a yes the ledger has the new end, and the audit who and why."""
    ends = desk.bring_to("kept")
    later = ends + timedelta(hours=6)
    code, says = desk.run("extend", "rem-1", "--until", iso(later), "--as", "ann", "--reason", "still rising", "--yes")
    assert (code, f"Extended by ann (still rising) until {iso(later)}." in says) == (0, True)
    assert f"lasts until {iso(ends)}; it would last {iso(later)}" in says
    remedy = desk.ledger.remedy("rem-1")
    assert remedy is not None
    assert (remedy.outcome, remedy.lease_ends_at) == ("extended", later)
    assert desk.ledger.audit()[-1].action == "extended"


def test_without_a_yes_nothing_is_extended(desk: Desk) -> None:
    """It is a decision of its own: the question is asked, and no answer is no."""
    ends = desk.bring_to("kept")
    code, says = desk.run("extend", "rem-1", "--until", iso(ends + timedelta(hours=6)), "--as", "ann")
    assert (code, "extend as ann?" in says) == (1, True)
    assert desk.standing() == ("kept", "applied")


def test_the_guards_rule_gets_the_same_end(desk: Desk) -> None:
    """Or the proxies would drop it at the old one; another remedy's rule keeps its own. For good means no end."""
    ends = desk.bring_to("kept", gateway="guard")
    other = SetRateLimit(target=Scope.of(team="ads"), requests_per_minute=5)
    for action, marker in ((LIMIT, "rem-1"), (other, "rem-2")):
        held = Held(value=action.to, marker=marker, revision=1, expires_at=ends)
        assert desk.ledger.guard_set(slot_of(action), held, key=marker, expected_version=None).status == "done"
    before = desk.ledger.guard_issue(reissue_after=timedelta(hours=1)).sequence
    later = ends + timedelta(hours=6)
    assert desk.run("extend", "rem-1", "--until", iso(later), "--as", "ann", "--yes")[0] == 0
    issue = desk.ledger.guard_issue(reissue_after=timedelta(hours=1))
    assert {held.marker: held.expires_at for _, _, held in issue.rules} == {"rem-1": later, "rem-2": ends}
    assert issue.sequence > before
    assert desk.run("extend", "rem-1", "--for-good", "--as", "ann", "--yes")[0] == 0
    held, version = desk.ledger.guard_slot(slot_of(LIMIT))
    assert (held.expires_at, held.marker) == (None, "rem-1")
    back = desk.ledger.guard_restore(slot_of(LIMIT), value=LIMIT.to, marker="rem-1", key="r", expected_version=version)
    assert back.status == "done", "it can still be undone by a person"
    assert desk.ledger.guard_slot(slot_of(LIMIT))[0].value == {}


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["extend", "rem-1", "--until", "2100-01-01", "--as", "eve"], 1, "those who may: ann, ben"),
        (["extend", "rem-1", "--until", "2020-01-01", "--as", "ann", "--yes"], 1, "not later than it lasts anyway"),
        (["extend", "rem-1", "--as", "ann"], 2, "--until TIME, or --for-good"),
        (["extend", "rem-1", "--until", "2100-01-01", "--for-good"], 2, "--until TIME, or --for-good"),
        (["extend", "rem-1", "--until", "soon"], 2, "not an ISO 8601 time"),
        (["extend", "rem-9", "--for-good"], 2, "no remedy 'rem-9'"),
        (["resolve", "rem-1", "--as", "ann"], 2, "nobody was called for it"),
        (["resolve", "rem-1", "--as", "ann", "--unseen"], 2, "--reason"),
    ],
)
def test_what_cannot_be_asked_is_said(desk: Desk, words: list[str], code: int, why: str) -> None:
    """One clear line; nothing changes."""
    desk.bring_to("kept")
    found, says = desk.run(*words)
    assert (found, why in says) == (code, True), says
    assert desk.standing() == ("kept", "applied")


def test_where_two_people_must_decide_two_must_extend(desk: Desk) -> None:
    """The quorum of the plan holds for its extension too; one and the same person counts once."""
    ends = desk.bring_to("kept", quorum=2)
    until = ["--until", iso(ends + timedelta(hours=6))]
    for _ in range(2):
        code, says = desk.run("extend", "rem-1", *until, "--as", "ann", "--yes")
        assert (code, "Counted: 1 of 2" in says) == (0, True)
    assert desk.standing() == ("kept", "applied")
    code, says = desk.run("extend", "rem-1", *until, "--as", "ben", "--yes")
    assert (code, "Extended by ann, ben until" in says, desk.standing()) == (0, True, ("kept", "extended"))


def test_one_person_may_settle_what_two_approved(desk: Desk) -> None:
    """What is gone at the gateway is a fact; keeping what stands there for good is a decision of two."""
    desk.bring_to("paging", outcome="revert_failed", quorum=2)
    stands(desk)
    code, says = desk.run("resolve", "rem-1", "--as", "ann", "--keep", "--yes")
    assert (code, "It takes 2 people to keep it" in says) == (1, True)
    desk.proxy.teams.clear()
    desk.proxy.add_team("search")
    assert desk.run("resolve", "rem-1", "--as", "ann", "--yes")[0] == 0
    assert desk.standing() == ("closed", "returned")


def test_what_is_gone_is_settled_as_returned(desk: Desk) -> None:
    """The gateway is asked; the audit keeps what it said, who closed it, and why."""
    desk.bring_to("paging", outcome="revert_failed")
    code, says = desk.run("resolve", "rem-1", "--as", "ann", "--reason", "took it away in the UI", "--yes")
    assert (code, "set_rate_limit of team=search is not set" in says) == (0, True)
    assert desk.standing() == ("closed", "returned")
    row = desk.ledger.audit()[-1]
    assert (row.actor, row.action) == ("ann", "settled_by_hand")
    assert row.payload is not None
    assert (row.payload["saw"], row.payload["was"], row.payload["reason"]) == (
        "set_rate_limit of team=search is not set",
        "revert_failed",
        "took it away in the UI",
    )


def test_somebody_elses_value_is_settled_as_drifted(desk: Desk) -> None:
    """What stands there is theirs, and is said."""
    desk.bring_to("paging", outcome="undecidable")
    desk.proxy.teams.popitem()
    desk.proxy.add_team("search", rpm_limit=7)
    code, says = desk.run("resolve", "rem-1", "--as", "ben", "--yes")
    assert (code, "requests_per_minute 7" in says, desk.standing()) == (0, True, ("closed", "drifted"))


def test_what_still_stands_is_not_called_settled(desk: Desk) -> None:
    """Unless a person takes it over for good."""
    desk.bring_to("paging", outcome="revert_failed")
    stands(desk)
    code, says = desk.run("resolve", "rem-1", "--as", "ann", "--yes")
    assert (code, "our change still stands" in says, desk.standing()) == (1, True, ("paging", "revert_failed"))
    code, says = desk.run("resolve", "rem-1", "--as", "ann", "--keep", "--yes")
    assert (code, desk.standing()) == (0, ("closed", "made_permanent"))


def test_an_unreadable_gateway_needs_a_persons_word(desk: Desk) -> None:
    """Blind closing says so, takes a reason, and is kept as such."""
    desk.bring_to("paging", outcome="undecidable")
    desk.server.read_faults.extend(["lost_request", "lost_request"])
    code, says = desk.run("resolve", "rem-1", "--as", "ann", "--yes")
    assert (code, "could not be read" in says, desk.standing()[0]) == (1, True, "paging")
    code, says = desk.run("resolve", "rem-1", "--as", "ann", "--unseen", "--reason", "the proxy is gone", "--yes")
    assert (code, desk.standing()) == (0, ("closed", "drifted"))
    row = desk.ledger.audit()[-1]
    assert row.payload is not None
    assert "could not be read" in row.payload["saw"]
    assert row.payload["reason"] == "the proxy is gone"


def test_check_online_says_what_each_key_may_do(desk: Desk) -> None:
    """One line a gateway: ok with its rights, or what is missing, and then exit code 1."""
    code, says = desk.run("check", "--online", "--json")
    assert '"litellm_admin"' in says
    assert "ok, may read and change keys and teams" in says
    assert "acme/indexer: GET" in says, "it is no code host that answers there"
    assert ADMIN not in says
    assert code == 1, "no proxy with the guard reports"
