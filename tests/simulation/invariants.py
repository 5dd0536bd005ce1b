"""What must never be, whatever happened: the gateway's own log against what was planned and decided."""

from evals.world.gateway_state import Mutation
from store.model.remedy import Settings
from tests.simulation.course import LEASE_SECONDS, Ended
from tests.simulation.people import HUMAN
from tests.simulation.story import LIMIT

OVERWROTE = "overwrote a person"
LANDED_LATE = "a change landed after the walk had ended"
"""The walk was closed over a change that was never seen in force (given up after three tries, undone, or stale); then a
worker woke that slept between its fence check and its call, or a request arrived that nobody had answered. A measured
residue: the change is gone at its lease's end, which the gateway keeps by itself."""


def faults_of(ended: Ended) -> list[str]:
    """Every broken invariant, in words.

    A clock that jumps back over the end of a lease makes an expired change look like somebody else's doing.
    """
    ended.gateway.look(LIMIT)  # what was on its way arrives now
    effects = _wrong_effects(ended)
    return [
        *ended.course.broken,
        *effects,
        *_wrong_decisions(ended),
        *_wrong_end(ended, overwrote=OVERWROTE in effects),
    ]


def _wrong_effects(ended: Ended) -> list[str]:
    log, marker, found = ended.gateway.log, ended.remedy.remedy_id, []
    planned = ended.course.plans
    for revision, (plan, known) in planned.items():
        to = plan.actions[0].to
        mine = [i for i, one in enumerate(log) if (one.who, one.what, one.value) == (marker, "apply", to)]
        if len(mine) > 1:
            found.append(f"applied {len(mine)} times")
        decision = ended.decisions.get(revision)
        if mine and (decision is None or decision.outcome != "approved"):
            found.append("an effect without an approval")
        if any(_before(log, i) != plan.actions[0].was or _person_since(log[known:i]) for i in mine):
            found.append(OVERWROTE)
    values = [plan.actions[0].to for plan, _ in planned.values()]
    if any(one.who == marker and one.what == "apply" and one.value not in values for one in log):
        found.append("an effect that nobody planned")
    for i, one in enumerate(log):
        if one.who == marker and one.what != "apply" and (i == 0 or log[i - 1].who != marker):
            found.append(OVERWROTE if _person_since(log[:i]) else "reverted what was not its own")
    if sum(one.who == marker and one.what != "apply" for one in log) > len(_approved(ended)):
        found.append("reverted more than once")
    return found


def _wrong_decisions(ended: Ended) -> list[str]:
    """An approval is a rule's, or of so many people who clicked it."""
    found = []
    for revision in _approved(ended):
        decision, course = ended.decisions[revision], ended.course
        by_rule = course.verdict == "apply" and decision.decided_by == ("policy:low_risk",)
        clicked = {person for at, person, choice in course.heard if (at, choice) == (revision, "approve")}
        by_people = len(set(decision.decided_by)) >= course.quorum and clicked.issuperset(decision.decided_by)
        if not (by_rule or by_people) or decision.plan_hash != course.plans[revision].plan.plan_hash:
            found.append("an approval that nobody gave")
    return found


def _wrong_end(ended: Ended, *, overwrote: bool) -> list[str]:
    log, remedy, found = ended.gateway.log, ended.remedy, []
    applies = [one for one in log if (one.who, one.what) == (remedy.remedy_id, "apply")]
    if any(one.outcome == "applied" for one in ended.applications) and not applies:
        found.append("applied, says the ledger, and nothing was changed")
    if remedy.state not in ("closed", "paging", "observed"):
        found.append(f"did not settle: {remedy.state}")
    explained = any(one.what in ("expire", "reset", "edit") for one in log) or len(ended.course.plans) > 1
    if remedy.outcome in ("stale", "drifted") and not explained:
        found.append(f"{remedy.outcome}, and no person acted")
    stands = ended.gateway.look(LIMIT).marker == remedy.remedy_id
    if stands and remedy.state == "closed":
        known = any(one.outcome == "applied" for one in ended.applications)
        late = not known and (remedy.outcome == "failed" or overwrote or ended.seen["undo:decided"] > 0)
        found.append(LANDED_LATE if late else "closed, and the change still stands")
    harmed = any(one.outcome == "harmed" for one in ended.verifications)
    if harmed and len(ended.course.plans) == 1 and remedy.outcome not in ("harmed", "drifted", "revert_failed"):
        found.append("harmed, and not taken back")
    ended.course.ground.move(2 * LEASE_SECONDS)
    if ended.gateway.look(LIMIT).marker == remedy.remedy_id:
        found.append("the change outlived its lease")
    return found


def _approved(ended: Ended) -> list[int]:
    return [revision for revision, decision in ended.decisions.items() if decision.outcome == "approved"]


def _before(log: tuple[Mutation, ...], position: int) -> Settings:
    return log[position - 1].value if position else {}


def _person_since(log: tuple[Mutation, ...]) -> bool:
    return any(one.who == HUMAN for one in log)
