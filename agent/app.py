"""The composition root: the only place that knows which concrete parts the service is made of."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypedDict

from agent.bursar import SPENT, Bursar, Graphs
from agent.detectors.learned import Learned
from agent.failpoints import Failpoint, nothing
from agent.feeds import collect_all, open_feeds
from agent.gateways import Gateway, Gateways, NotConfigured, only, open_gateways
from agent.graph import Graph, case_graph, remedy_graph, watch_graph
from agent.policy import Phase
from agent.reviewer import OWN, Reviewer, open_reviewer
from agent.savings import histories, track_record
from agent.settings import Settings
from agent.steps.apply import apply
from agent.steps.detect import detect
from agent.steps.expire import expire
from agent.steps.group import group
from agent.steps.investigate import investigate
from agent.steps.look import look
from agent.steps.measure import measure
from agent.steps.open import open_incidents
from agent.steps.propose import propose
from agent.steps.resolve import resolve
from agent.steps.revert import revert
from agent.steps.roll_up import roll_up
from agent.steps.rule import rule
from agent.steps.trust import trust
from agent.steps.verify import verify
from agent.stores import open_stored_ledger, open_warehouse
from agent.verification import VerificationFacts
from agent.walk import PACE, Pace
from playbooks.registry import PLAYBOOKS, parameters
from store.checkpoints import close_checkpoints, forget_run, open_checkpoints
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.incident import Finding, Incident, TrustNote
from store.model.ports import Clock, GatewayReader, Warehouse
from store.model.remedy import Claim, Proposal, Remedy, Ruling
from store.model.usage import Window
from store.prices import PriceBook

log = logging.getLogger("bursar")


def assemble(
    settings: Settings,
    *,
    clock: Clock,
    owner: str,
    gateway: Gateway | None = None,
    reader: GatewayReader | None = None,
    ledger: Ledger | None = None,
    warehouse: Warehouse | None = None,
    checkpointed: bool = True,
    reviewer: Reviewer | None = None,
    pace: Pace = PACE,
    failpoint: Failpoint = nothing,
) -> Bursar:
    """Put the service together. Parts that are not given are opened as the configuration says.

    The gateways are those that the configuration names, unless one is given. Without any nothing can be applied:
    approved plans wait. `reader` alone serves a backtest. `checkpointed` keeps each case's steps on disk
    until its proposal is committed. The reviewer is the one that `reasoner:` names, unless one is given.
    """
    ledger = ledger or open_stored_ledger(settings, clock=clock)
    gateways = None if gateway is None else only(gateway)
    if gateway is None and reader is None:
        gateways = open_gateways(settings, ledger=ledger, clock=clock)
    warehouse = warehouse or open_warehouse(settings, clock=clock)
    prices = PriceBook(settings.prices)
    reviewer = reviewer or open_reviewer(settings, ledger=ledger, warehouse=warehouse, prices=prices, clock=clock)
    if reviewer is not None:
        kept = (*settings.policy.never_touch, OWN)
        settings = settings.model_copy(update={"policy": settings.policy.model_copy(update={"never_touch": kept})})
    saver = open_checkpoints(settings.data_dir / "checkpoints.db") if checkpointed else None
    # What the last service knew holds until this one has looked itself.
    trust_notes: list[TrustNote] = [*ledger.trust()]
    parts = _Parts(
        settings, clock, owner, ledger, warehouse, prices, gateways, reader, reviewer, trust_notes, pace, failpoint
    )

    def close() -> None:
        if reviewer is not None:
            reviewer.close()
        if saver is not None:
            close_checkpoints(saver)
        if gateways is not None:
            gateways.close()
        warehouse.close()
        ledger.close()

    return Bursar(
        settings=settings,
        clock=clock,
        owner=owner,
        ledger=ledger,
        warehouse=warehouse,
        prices=prices,
        graphs=Graphs(
            watch=_watch(parts),
            case=case_graph(
                investigate=parts.investigate,
                propose=parts.propose,
                rule=parts.rule,
                file=parts.file,
                checkpointer=saver,
            ),
            remedy=_remedy(parts, gateways),
        ),
        settle=parts.settle,
        forget=partial(forget_run, saver) if saver is not None else lambda _: None,
        close_parts=close,
        trust_notes=trust_notes,
    )


def _watch(parts: "_Parts") -> Graph:
    settings, warehouse, ledger = parts.settings, parts.warehouse, parts.ledger
    feeds = open_feeds(settings.sources, clock=parts.clock)
    learned = Learned()

    def trusted(until: datetime) -> Sequence[TrustNote]:
        notes = trust(warehouse=warehouse, now=until, settings=settings.detectors)
        if notes != parts.trust_notes:
            ledger.save_trust(notes, at=until)
            parts.trust_notes[:] = notes
        return parts.trust_notes

    return watch_graph(
        collect=lambda: collect_all(
            feeds, warehouse=warehouse, prices=parts.prices, amendment=settings.amendment, say=log.warning
        ),
        roll_up=lambda: roll_up(warehouse=warehouse, prices=parts.prices),
        trust=trusted,
        detect=lambda until: detect(warehouse=warehouse, now=until, settings=settings.detectors, learned=learned),
        group=lambda spikes, until: group(
            ledger=ledger, warehouse=warehouse, spikes=spikes, now=until, settings=settings.detectors
        ),
        open_=lambda incidents: open_incidents(ledger=ledger, incidents=incidents),
    )


class _Given(TypedDict):
    """What every step of the remedy graph is given."""

    ledger: Ledger
    clock: Clock
    pace: Pace
    failpoint: Failpoint


def _remedy(parts: "_Parts", gateways: Gateways | None) -> Graph:
    """The remedy graph. Only here do hands leave this module, and only to apply and revert."""
    given = _Given(ledger=parts.ledger, clock=parts.clock, pace=parts.pace, failpoint=parts.failpoint)
    if gateways is None:
        return remedy_graph(
            look=lambda _: None, **dict.fromkeys(("apply", "resolve", "verify", "expire", "revert"), _none)
        )

    def at(claim: Claim) -> Gateway:
        """The gateway that the claimed remedy's plan names."""
        remedy = parts.ledger.remedy(claim.remedy_id)
        proposal = None if remedy is None else parts.ledger.proposal(remedy.remedy_id, remedy.revision)
        return NotConfigured(claim.remedy_id) if proposal is None else gateways.named(proposal.gateway)

    return remedy_graph(
        look=lambda remedy_id: look(remedy_id=remedy_id, owner=parts.owner, **given),
        apply=lambda claim: apply(claim=claim, reader=at(claim), actuator=at(claim), permit=parts.permit, **given),
        resolve=lambda claim: resolve(claim=claim, reader=at(claim), probe=at(claim).probe, **given),
        verify=lambda claim: verify(claim=claim, reader=at(claim), measure=parts.measure, **given),
        expire=lambda claim: expire(claim=claim, reader=at(claim), **given),
        revert=lambda claim: revert(claim=claim, reader=at(claim), actuator=at(claim), **given),
    )


def _none(_: object) -> None:
    return None


@dataclass(frozen=True)
class _Parts:
    """The steps of a case, bound to what they need."""

    settings: Settings
    clock: Clock
    owner: str
    ledger: Ledger
    warehouse: Warehouse
    prices: PriceBook
    gateways: Gateways | None
    reader: GatewayReader | None
    """A backtest's, which has no hands."""
    reviewer: Reviewer | None
    trust_notes: list[TrustNote]
    pace: Pace
    failpoint: Failpoint

    def investigate(self, incident_id: str) -> Finding:
        # What a remedy of ours did to the traffic is no evidence of the cause: look at what came before the first.
        remedies = [one.remedy_id for one in self.ledger.remedies(incident_id=incident_id)]
        effects = [effect for remedy_id in remedies for effect in self.ledger.applications(remedy_id)]
        applied = [effect.intended_at for effect in effects if effect.verb == "apply" and effect.outcome == "applied"]
        incident = self._incident(incident_id)
        worth = self.reviewer is not None and incident.excess_nanos >= self.reviewer.min_excess_nanos
        finding = investigate(
            incident=incident,
            warehouse=self.warehouse,
            price_table_for=self.prices.table_for,
            now=min([self.clock(), *applied]),
            reasoner=self.reviewer.review if self.reviewer is not None and worth else None,
        )
        self.ledger.save_finding(finding)
        return finding

    def settle(self, incident_id: str) -> None:
        """Bring the finding's figures up to the incident's last: its drivers add up to what the whole of it cost.

        The cause stays as it was found before the first remedy, or by a review, where there was one; else it is judged
        anew.
        """
        found = self.ledger.finding(incident_id)
        treated = found is not None and (
            found.made_by == "reasoner" or any(one.applied_at for one in self.ledger.remedies(incident_id=incident_id))
        )
        whole = investigate(
            incident=self._incident(incident_id),
            warehouse=self.warehouse,
            price_table_for=self.prices.table_for,
            now=self.clock(),
        )
        if found is not None and treated:
            figures = {"window": whole.window, "excess_nanos": whole.excess_nanos, "drivers": whole.drivers}
            whole = found.model_copy(update={**figures, "revision": whole.revision, "reference": whole.reference})
        elif found is not None:
            whole = whole.model_copy(update={"review": found.review, "cost_nanos": found.cost_nanos})
        self.ledger.save_finding(whole)

    def propose(self, incident_id: str) -> list[Proposal]:
        finding = self.ledger.finding(incident_id)
        assert finding is not None, "propose follows investigate"
        spent = self._spent(incident_id)
        return propose(
            finding=finding,
            incident=self._incident(incident_id),
            warehouse=self.warehouse,
            price_table_for=self.prices.table_for,
            reader=self.gateways or self.reader,
            route=self.gateways.route if self.gateways is not None else None,
            playbooks=[playbook for playbook in PLAYBOOKS if playbook.name not in spent],
            never_touch=self.settings.policy.never_touch,
            parameters=parameters(self.settings.playbooks),
            now=self.clock(),
            track_records=track_record(histories(self.ledger)),
        )

    def rule(self, proposal: Proposal) -> Ruling:
        return self._rule(proposal, "proposal")

    def permit(self, proposal: Proposal) -> Ruling:
        return self._rule(proposal, "apply")

    def file(self, proposals: Sequence[Proposal], rulings: Sequence[Ruling]) -> list[Remedy]:
        best, *others = proposals
        return [self.ledger.file(best, ruling, alternatives=others) for ruling in rulings]

    def measure(self, proposal: Proposal, remedy: Remedy, window: Window) -> VerificationFacts | None:
        in_force = self.ledger.remedies(states={"verifying", "kept"})
        others = [
            self.ledger.proposal(one.remedy_id, one.revision) for one in in_force if one.remedy_id != remedy.remedy_id
        ]
        return measure(
            proposal=proposal,
            remedy=remedy,
            window=window,
            incident=self._incident(proposal.incident_id),
            warehouse=self.warehouse,
            touched=[other.scope for other in others if other is not None],
        )

    def _rule(self, proposal: Proposal, phase: Phase) -> Ruling:
        return rule(
            proposal=proposal,
            policy=self.settings.policy,
            ledger=self.ledger,
            warehouse=self.warehouse,
            trust=self.trust_notes,
            reader=self.gateways.known(proposal.gateway) if self.gateways is not None else self.reader,
            now=self.clock(),
            phase=phase,
        )

    def _incident(self, incident_id: str) -> Incident:
        incident = self.ledger.incident(incident_id)
        if incident is None:
            raise StorageFailed(f"incident {incident_id} is gone from the ledger; restore a backup")
        return incident

    def _spent(self, incident_id: str) -> set[str]:
        """Playbooks that came to nothing for this incident."""
        remedies = [one for one in self.ledger.remedies(incident_id=incident_id) if one.outcome in SPENT]
        proposals = [self.ledger.proposal(one.remedy_id, one.revision) for one in remedies]
        return {proposal.playbook for proposal in proposals if proposal is not None}
