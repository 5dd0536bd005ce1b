"""Three approved plans for three apps of a scene, and what the proxy's guard saw of each.

They are put on record as the step propose would, so that a sweep need not wait for a spike and for a check window of an
hour. From Ann's approval on everything is done by the service alone.
"""

import json
from datetime import UTC, datetime, timedelta

from store.ledger.ledger import Ledger, open_ledger
from store.model.incident import Incident
from store.model.remedy import Check, Proposal, Ruling, Saving, SetModelAlias
from store.model.usage import Scope
from tests.proof.history import App
from tests.proof.scene import ASSISTANT, CRAWLER, WRITER, Scene

PLANNED = {"rem-assistant": ASSISTANT, "rem-crawler": CRAWLER, "rem-writer": WRITER}
CHECK_SECONDS = 300


class Plans:
    """The three remedies of a scene. `lease_seconds` begins when a plan is first tried."""

    def __init__(self, scene: Scene, *, lease_seconds: int) -> None:
        self._scene = scene
        now = datetime.now(UTC)
        ledger = self.ledger()
        for remedy_id, app in PLANNED.items():
            ledger.save_incident(_incident(remedy_id, app, now))
            plan = _plan(remedy_id, app, now, lease_seconds)
            ledger.file(plan, _ruling(plan, now))
        ledger.close()
        for remedy_id in PLANNED:
            scene.bursar("approve", f"{remedy_id}@1", "--as", "ann", "--yes")

    def ledger(self) -> Ledger:
        """The service's own ledger, opened beside it."""
        path = self._scene.folder / "bursar-data"
        path.mkdir(exist_ok=True)
        return open_ledger(f"sqlite:///{path / 'ledger.db'}", clock=lambda: datetime.now(UTC))

    def stand(self) -> dict[str, tuple[str, str | None]]:
        """{remedy id: (state, outcome)}."""
        ledger = self.ledger()
        found = {one.remedy_id: (str(one.state), one.outcome) for one in ledger.remedies()}
        ledger.close()
        return {name: found[name] for name in PLANNED}

    def all_are(self, *states: str) -> bool:
        """Whether all three stand so."""
        return all(state in states for state, _ in self.stand().values())

    def undo(self) -> None:
        """Ann takes all of them back."""
        for remedy_id in PLANNED:
            self._scene.bursar("revert", remedy_id, "--as", "ann", "--yes")

    def met(self, remedy_id: str) -> bool:
        """Whether the app's calls meet the remedy at the proxy now, by a real client."""
        answer = self._scene.call(PLANNED[remedy_id], model="claude-big")
        return bool(answer["headers"].get("x-bursar-remedy") == remedy_id)

    def effects(self, remedy_id: str) -> list[str]:
        """Each time that its rule came to the guard in the proxy, as JSON: one entry for one effect."""
        came: list[str] = []
        before = ""
        for payload in self._scene.rule_sets:
            rules = [json.dumps(rule, sort_keys=True) for rule in payload["rules"] if rule["remedy_id"] == remedy_id]
            now = "".join(rules)
            if now and now != before:
                came.append(now)
            before = now
        return came


def _incident(remedy_id: str, app: App, now: datetime) -> Incident:
    """Over since long, so that the service investigates nothing of its own."""
    then = now - timedelta(days=5)
    return Incident(
        id=f"inc-of-{remedy_id}",
        scope=Scope.of(team=app.team, app=app.name),
        status="closed",
        opened_at=then,
        started_at=then,
        ended_at=then + timedelta(hours=1),
        seen_until=then + timedelta(hours=1),
        revised_at=then,
        excess_nanos=10**10,
        baseline_nanos=10**9,
        actual_nanos=11 * 10**9,
        revised_excess_nanos=10**10,
    )


def _plan(remedy_id: str, app: App, now: datetime, lease_seconds: int) -> Proposal:
    scope = Scope.of(team=app.team, app=app.name)
    return Proposal(
        remedy_id=remedy_id,
        incident_id=f"inc-of-{remedy_id}",
        incident_revision=1,
        scope=scope,
        playbook="model_downgrade",
        cause="model_switch",
        confidence=0.9,
        gateway="guard",
        actions=(SetModelAlias(target=scope, from_model="claude-big", to_model="claude-small"),),
        risk="low",
        reversible=True,
        saving=Saving(low=1, mid=2, high=3, cash_mid=2, assumption="for a sweep"),
        quality_note="",
        undo_note="the app gets the model that it asks for again",
        check=Check(window_seconds=CHECK_SECONDS, min_reduction=0.5),
        lease_seconds=lease_seconds,
        made_at=now,
        expires_at=now + timedelta(hours=1),
    )


def _ruling(plan: Proposal, now: datetime) -> Ruling:
    return Ruling(
        remedy_id=plan.remedy_id,
        revision=plan.revision,
        verdict="ask",
        rule="sweep",
        policy_version="sweep",
        ruled_at=now,
        approvers=("ann",),
    )
