"""A ledger, a stand-in for Slack, and the two steps between them, on one clock that tests turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from agent.steps.announce import announce
from agent.steps.hear import hear
from store.ledger.ledger import Ledger, open_ledger
from store.model.remedy import Proposal, Verdict
from tests.servers.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, TEAM, Json, SlackStandIn
from tests.store.ledger.examples import HandClock, a_finding, a_proposal, a_ruling, an_incident
from tools.slack.calls import open_client
from tools.slack.inbound import CLICK, click_of
from tools.slack.settings import SlackSettings
from tools.slack.threads import SlackThreads

PEOPLE = {f"{TEAM}/U0{name.upper()}": name for name in ("ann", "ben", "cleo")}


def settings_for(slack: SlackStandIn, people: dict[str, str] | None = None) -> SlackSettings:
    return SlackSettings(
        bot_token=SecretStr(BOT_TOKEN),
        app_token=SecretStr(APP_TOKEN),
        channel=CHANNEL,
        people=PEOPLE if people is None else people,
        base_url=slack.base_url,
    )


class Scene:
    """What a test plays in."""

    def __init__(self, ledger: Ledger, slack: SlackStandIn, clock: HandClock) -> None:
        self.ledger = ledger
        self.slack = slack
        self.clock = clock
        self.threads = SlackThreads(open_client(settings_for(slack)))
        self.people = PEOPLE
        self.woken = 0
        self.chart: bytes | None = None

    def file(self, name: str = "rem-1", revision: int = 1, *, verdict: Verdict = "ask", quorum: int = 1) -> Proposal:
        self.ledger.save_incident(an_incident())
        self.ledger.save_finding(a_finding())
        proposal = a_proposal(name, revision, made_at=self.clock.now)
        self.ledger.file(proposal, a_ruling(proposal, verdict, quorum=quorum))
        return proposal

    def announce(self, owner: str = "one") -> int:
        return announce(
            ledger=self.ledger,
            slack=self.threads,
            channel=CHANNEL,
            channel_for=lambda _: CHANNEL,
            people=self.people,
            chart=lambda _: self.chart,
            zone=ZoneInfo("UTC"),
            clock=self.clock,
            owner=owner,
        )

    def hear(self, owner: str = "one") -> int:
        return hear(
            ledger=self.ledger, slack=self.threads, people=self.people, clock=self.clock, owner=owner, wake=self._wake
        )

    def settle(self) -> None:
        """Until nothing waits that may be sent or heard now."""
        while self.hear() + self.announce():
            pass

    def clicked(self, user_id: str, action: str, value: str, **changes: Any) -> None:
        """The click of a person, as it stands in the inbox."""
        root: Json = next(iter(self.slack.roots()), {"channel": CHANNEL, "ts": "1.1"})
        click = click_of("interactive", self.slack.click_payload(user_id, root, action, value, **changes))
        assert click is not None
        self.ledger.inbox_put(click.dedupe_key, CLICK, click.model_dump(mode="json"))

    def answers(self, user: str | None = None) -> list[str]:
        return [one["text"] for one in self.slack.ephemerals if user in (None, one["user"])]

    def buttons(self) -> list[tuple[str, str]]:
        """(action id, value) of every button on the one root; a menu has one for each of its options."""
        (root,) = self.slack.roots()
        return buttons_of(root)

    def _wake(self) -> None:
        self.woken += 1


def buttons_of(root: Json) -> list[tuple[str, str]]:
    elements = [one for block in root["blocks"] if block["type"] == "actions" for one in block["elements"]]
    return [
        (one["action_id"], value)
        for one in elements
        for value in ([one["value"]] if "value" in one else [option["value"] for option in one["options"]])
    ]


@contextmanager
def slack_scene() -> Iterator[Scene]:
    clock = HandClock()
    ledger = open_ledger("sqlite://", clock=clock, lease_clock=clock)
    with SlackStandIn(clock=lambda: clock().timestamp()) as slack:
        yield Scene(ledger, slack, clock)
        assert slack.violations == []
    report = ledger.verify_audit()
    assert report.ok, report.problem
    ledger.close()
