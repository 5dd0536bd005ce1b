"""Hear: turn each click that waits in the inbox into a vote or an undo, and answer the person."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from store.ledger.ledger import Ledger
from store.model.ports import Clock
from store.model.remedy import Ruling, Vote
from tools.slack.blocks import REASONS, answer_text
from tools.slack.errors import SlackAway, SlackRefused
from tools.slack.inbound import CLICK, Click
from tools.slack.threads import SlackThreads

log = logging.getLogger("bursar.slack")

TURN = "slack-inbox"
LEASE_SECONDS = 60
AWAY_SECONDS = 5.0


def hear(
    *,
    ledger: Ledger,
    slack: SlackThreads,
    people: Mapping[str, str],
    clock: Clock,
    owner: str,
    wake: Callable[[], None],
) -> int:
    """Handle the clicks that wait, oldest first; how many were handled.

    `people`: account ("TEAM/USER") to name; whoever is not in it decides nothing. A click whose account cannot be
    looked up because Slack is away stays, and is judged later. `wake`: a remedy may go on now.
    """
    if not any(kind == CLICK for _, kind, _ in ledger.inbox_pending()):
        return 0
    if not ledger.take_turn(TURN, owner=owner, lease_seconds=LEASE_SECONDS):
        return 0
    ear = _Ear(ledger, slack, people, clock, wake)
    handled, pause = 0, 0.0
    for row_id, kind, payload in ledger.inbox_pending():
        if kind != CLICK:
            continue
        if not ledger.take_turn(TURN, owner=owner, lease_seconds=LEASE_SECONDS):
            return handled
        try:
            ear.handle(Click.model_validate(payload))
        except SlackAway as away:
            pause = away.retry_after or AWAY_SECONDS
            log.warning("%s; clicks wait for %.0f s", away, pause)
            break
        ledger.inbox_done(row_id)
        handled += 1
    ledger.end_turn(TURN, owner=owner, pause_seconds=pause)
    return handled


@dataclass(frozen=True)
class _Ear:
    """One click at a time. Repeating one after a crash is safe: the ledger's first answer stands."""

    ledger: Ledger
    slack: SlackThreads
    people: Mapping[str, str]
    clock: Clock
    wake: Callable[[], None]

    def handle(self, click: Click) -> None:
        person, barred = self._person(click)
        if person is None:
            log.warning("slack: %s may not decide on %s: %s", click.accounts[0], click.remedy_id, barred)
            says = f"You may not decide here: {barred}. Ask the operator to list you under slack.people."
        else:
            says = self._undo(click, person) if click.choice == "undo" else self._vote(click, person)
        if says:
            self._answer(click, says)

    def _person(self, click: Click) -> tuple[str | None, str]:
        """Whose click it is, by the operator's list and by what Slack says of the account now; else why not."""
        listed = next((one for one in click.accounts if one in self.people), None)
        if listed is None:
            return None, "your account is not on the list"
        try:
            account = self.slack.account(click.user_id)
        except SlackRefused as refused:
            return None, f"your account could not be checked ({refused.code})"
        if account.barred:
            return None, account.barred
        if listed.partition("/")[0] not in {account.team_id, account.enterprise_id}:
            return None, "your account belongs to another workspace"
        return self.people[listed], ""

    def _vote(self, click: Click, person: str) -> str:
        cast = self.ledger.cast(
            Vote(
                remedy_id=click.remedy_id,
                revision=click.revision,
                person=person,
                choice="reject" if click.choice == "reject" else "approve",
                at=self.clock(),
                reason=REASONS.get(click.reason, ""),
                via="slack",
            )
        )
        if cast.status != "decided":
            return cast.says
        self.wake()
        return ""

    def _undo(self, click: Click, person: str) -> str:
        remedy = self.ledger.remedy(click.remedy_id)
        if remedy is None:
            return f"There is no remedy {click.remedy_id}."
        if remedy.revision != click.revision:
            return f"Revision {click.revision} is no longer current: please look at revision {remedy.revision}."
        ruling = self._ruling(click)
        if ruling is None or person not in ruling.approvers:
            named = ", ".join(ruling.approvers) if ruling and ruling.approvers else "nobody"
            return f"You may not undo this one; those who may: {named}."
        if remedy.revert_reason is not None:
            return f"It is being undone already: {remedy.revert_reason}."
        cast = self.ledger.request_revert(click.remedy_id, by=person, reason=f"undone by {person}")
        if cast.status == "decided":
            self.wake()
        return cast.says

    def _ruling(self, click: Click) -> Ruling | None:
        """The newest ruling that names who may decide on the revision."""
        rulings = reversed(self.ledger.rulings(click.remedy_id))
        return next((one for one in rulings if (one.revision, one.phase) == (click.revision, "proposal")), None)

    def _answer(self, click: Click, says: str) -> None:
        try:
            self.slack.answer(click.channel_id, click.user_id, answer_text(says))
        except SlackRefused as refused:
            log.warning("%s: %s gets no answer", refused, click.user_id)
