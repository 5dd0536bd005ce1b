"""Announce: tell Slack what waits in the outbox, in its order, each message once."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.report.events import event_text, kill_switch_text
from agent.report.thread import ThreadFile, card_of, week_card
from store.errors import BadInput, Busy, StorageFailed
from store.ledger.ledger import Ledger, OutboxRow
from store.model.incident import Incident
from store.model.ports import Clock
from store.model.remedy import Remedy
from store.model.usage import Scope, from_us, to_us
from tools.slack.blocks import Card, incident_message, note_message, week_message
from tools.slack.errors import SlackAway, SlackRefused
from tools.slack.threads import Place, SlackThreads

log = logging.getLogger("bursar.slack")

TURN = "slack-outbox"
THREAD = "slack-thread"
LEASE_SECONDS = 60
"""Longer than the calls of one message take; the first of them that gets no answer ends the turn."""
BATCH = 20
REFUSED_AGAIN = timedelta(minutes=10)
CLOCK_DRIFT = timedelta(hours=1)
"""How far our clock and Slack's may differ when a message is looked up."""
RECENT = timedelta(days=1)
"""Summaries and the like that are older than this when Slack is first connected are not told."""
_LONGEST_PAUSE_SECONDS = 60.0
_REMEDY_KINDS = frozenset({"observed", "approval_requested", "applied_by_rule", "escalation", "remedy_changed"})
_ASKING = frozenset({"approval_requested", "escalation"})
_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})


def announce(
    *,
    ledger: Ledger,
    slack: SlackThreads,
    channel: str,
    channel_for: Callable[[Scope], str],
    people: Mapping[str, str],
    chart: Callable[[Incident], bytes | None],
    zone: ZoneInfo,
    clock: Clock,
    owner: str,
) -> int:
    """Send what may be sent now; how many messages got through. `people`: account ("TEAM/USER") to name.

    Nothing overtakes: while Slack is away everything waits, in every replica. A message that Slack refuses by itself
    (its channel is archived) waits alone. Whatever was posted before a crash is found again by its name.
    """
    if not ledger.outbox_pending(limit=1) or not ledger.take_turn(TURN, owner=owner, lease_seconds=LEASE_SECONDS):
        return 0
    teller = _Teller(ledger, slack, channel, channel_for, people, chart, zone, _first_start(ledger, clock()))
    sent, pause = 0, 0.0
    for row in ledger.outbox_pending(limit=BATCH):
        if not ledger.take_turn(TURN, owner=owner, lease_seconds=LEASE_SECONDS):
            return sent
        try:
            ref = teller.tell(row)
        except SlackAway as away:
            pause = _pause(away, row)
            ledger.outbox_failed(row.id, retry_at=clock(), error=str(away))
            log.warning("%s; everything waits for %.0f s", away, pause)
            break
        except SlackRefused as refused:
            ledger.outbox_failed(row.id, retry_at=clock() + REFUSED_AGAIN, error=str(refused))
            log.error("%s: message %s of %s waits for 10 minutes", refused, row.id, row.key)  # noqa: TRY400
            continue
        except (LookupError, ValueError) as error:  # a row of another version must not hold up the rest
            ledger.outbox_failed(row.id, retry_at=clock() + REFUSED_AGAIN, error=f"no words: {error!r}")
            log.exception("message %s of %s could not be put in words; it waits for 10 minutes", row.id, row.key)
            continue
        ledger.outbox_sent(row.id, ref=ref)
        sent += 1
    ledger.end_turn(TURN, owner=owner, pause_seconds=pause)
    return sent


def _pause(away: SlackAway, row: OutboxRow) -> float:
    return away.retry_after or min(2.0 ** min(row.attempts, 10), _LONGEST_PAUSE_SECONDS)


def _first_start(ledger: Ledger, now: datetime) -> datetime:
    """When Slack was connected: what ended before that is history, and told to nobody."""
    return from_us(int(ledger.keep_reference("slack-since", "", {"us": to_us(now)})["us"]))


@dataclass(frozen=True)
class _Teller:
    """Turns one row into messages; returns where the message is, as "CHANNEL:TS", or "" where there was none."""

    ledger: Ledger
    slack: SlackThreads
    channel: str
    channel_for: Callable[[Scope], str]
    people: Mapping[str, str]
    chart: Callable[[Incident], bytes | None]
    zone: ZoneInfo
    connected_at: datetime

    def tell(self, row: OutboxRow) -> str:
        if row.kind in _REMEDY_KINDS:
            return self._of_remedy(row)
        if row.created_at < self.connected_at - RECENT:
            return ""
        if row.kind == "weekly_summary":
            return self._week(row)
        if row.kind == "kill_switch":
            return self._alone(row, kill_switch_text(row.payload), self.channel)
        log.warning("outbox: no words for %r; message %s is put aside", row.kind, row.id)
        return ""

    def _of_remedy(self, row: OutboxRow) -> str:
        incident = self.ledger.incident(str(row.payload["incident_id"]))
        remedy = self.ledger.remedy(str(row.payload["remedy_id"]))
        if incident is None or remedy is None or self._is_history(row, remedy):
            return ""
        says, card = event_text(row.kind, row.payload), self._card(incident)
        root, made_by = self._root(incident, card, row)
        if made_by == row.id:
            return _text(root)
        note = note_message(says, card.asked if row.kind in _ASKING else ())
        try:
            self.slack.update(root, incident_message(card))
            reply = self.slack.post(root.channel, note, name=_name(row), since=_since(row), thread=root.ts)
        except SlackRefused as refused:
            if refused.code not in _GONE:
                raise
            log.warning("%s: the thread of %s is gone; its news stand in the channel", refused, incident.id)
            decide = f" To decide: bursar approve or reject {card.target}" if "approve" in card.buttons else ""
            return self._alone(row, f"{incident.id} ({incident.scope.text}): {says}{decide}", root.channel)
        return _text(reply)

    def _card(self, incident: Incident) -> Card:
        """The first message as of now; whoever is asked for a decision is mentioned."""
        file = self._file(incident)
        card = card_of(file, self.zone)
        if file.ruling is None or "approve" not in card.buttons:
            return card
        accounts = {person: account.partition("/")[2] for account, person in self.people.items()}
        return card._replace(asked=tuple(accounts[one] for one in file.ruling.approvers if one in accounts))

    def _root(self, incident: Incident, card: Card, row: OutboxRow) -> tuple[Place, int]:
        """The thread's first message, made now where there is none; and the row that it was made for."""
        known = self.ledger.reference(THREAD, incident.id)
        if known is None:
            channel, name = self.channel_for(incident.scope), f"incident:{incident.id}"
            place = self.slack.post(channel, incident_message(card), name=name, since=_since(row))
            self._add_chart(place, incident, row)
            reference = {"channel": place.channel, "ts": place.ts, "row": row.id}
            known = self.ledger.keep_reference(THREAD, incident.id, reference)
        return Place(str(known["channel"]), str(known["ts"])), int(known["row"])

    def _add_chart(self, place: Place, incident: Incident, row: OutboxRow) -> None:
        try:
            content = self.chart(incident)
        except (BadInput, Busy, StorageFailed) as error:
            log.warning("%s: the thread of %s goes without its chart", error, incident.id)
            return
        if content is None:
            return
        title = "Spend around the incident"
        try:
            self.slack.upload(place, filename=f"{incident.id}.png", content=content, title=title, since=_since(row))
        except SlackRefused as refused:
            log.warning("%s: the thread of %s goes without its chart", refused, incident.id)

    def _week(self, row: OutboxRow) -> str:
        week = str(row.payload["week"])
        message = week_message(week_card(row.payload))
        place = self.slack.post(self.channel, message, name=f"week:{week}", since=_since(row))
        picture = Path(str(row.payload["markdown"])).with_suffix(".png")
        try:
            content = picture.read_bytes()
        except OSError as error:
            log.warning("%s: cannot be read (%s); the summary goes without its chart", picture, error.strerror)
            return _text(place)
        self.slack.upload(place, filename=picture.name, content=content, title=f"Week {week}", since=_since(row))
        return _text(place)

    def _alone(self, row: OutboxRow, says: str, channel: str) -> str:
        return _text(self.slack.post(channel, note_message(says), name=_name(row), since=_since(row)))

    def _is_history(self, row: OutboxRow, remedy: Remedy) -> bool:
        return row.created_at < self.connected_at and remedy.state in ("closed", "observed")

    def _file(self, incident: Incident) -> ThreadFile:
        """The incident with its newest plan, as the ledger has it now."""
        remedies = self.ledger.remedies(incident_id=incident.id)
        remedy = remedies[-1] if remedies else None
        finding = self.ledger.finding(incident.id)
        if remedy is None:
            return ThreadFile(incident, finding, None, None, None, None)
        rulings = [one for one in self.ledger.rulings(remedy.remedy_id) if one.revision == remedy.revision]
        return ThreadFile(
            incident=incident,
            finding=finding,
            remedy=remedy,
            proposal=self.ledger.proposal(remedy.remedy_id, remedy.revision),
            ruling=next((one for one in reversed(rulings) if one.phase == "proposal"), None),
            decision=self.ledger.decision(remedy.remedy_id, remedy.revision),
            verifications=tuple(self.ledger.verifications(remedy.remedy_id)),
        )


def _name(row: OutboxRow) -> str:
    return f"outbox:{row.id}"


def _since(row: OutboxRow) -> datetime:
    return row.created_at - CLOCK_DRIFT


def _text(place: Place) -> str:
    return f"{place.channel}:{place.ts}"
