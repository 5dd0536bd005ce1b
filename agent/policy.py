"""The policy: what Bursar may do by itself, what it must ask, and whom. Pure and total.

Verdicts form a ladder observe < ask < apply. The first rule that matches gives a verdict (none matches: ask); then
limits, the mode among them, can only lower it. `explain` shows every rule and limit; `rule` is its conclusion.
"""

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from agent.policy_tree import (
    SHIPPED_RULES,
    Freeze,
    Limits,
    Mode,
    Owner,
    Part,
    Policy,
    QuietHours,
    Quorum,
    Rule,
    When,
)
from playbooks.direction import loosens, tightens
from playbooks.targets import touches
from store.model.incident import TrustNote
from store.model.money import to_nanos, usd_text
from store.model.ports import Capabilities
from store.model.remedy import Proposal, Ruling, Verdict
from store.model.usage import Scope

# Who rules by a policy need not know that its tree lies elsewhere.
__all__ = ["SHIPPED_RULES", "Freeze", "Limits", "Owner", "Policy", "QuietHours", "Quorum", "Rule", "When"]

Phase = Literal["proposal", "apply"]
LADDER: tuple[Verdict, ...] = ("observe", "ask", "apply")
_MODE_CAP: dict[Mode, Verdict] = {"shadow": "observe", "ask": "ask", "auto": "apply"}


# --- what is known when it rules -------------------------------------------------------------------------------


class RulingFacts(Part):
    """What the world looks like at the moment of a ruling. What is not known counts against autonomy."""

    values: dict[str, frozenset[str]] = Field(default_factory=dict)
    """{dimension: every value that the target's recent records have}."""
    spend_nanos_per_day: int = 0
    """What the target spends."""
    attested_share: float = 0.0
    effects_last_hour: int = 0
    effects_last_day: int = 0
    effects_in_scope_last_day: int = 0
    """Effects of the last day whose scope overlaps the proposal's."""
    scopes_last_day: int = 0
    """Different scopes with effects in the last day, the proposal's own left out."""
    trust: tuple[TrustNote, ...] = ()
    capabilities: Capabilities | None = None
    """None: there is no gateway, or it cannot be reached."""
    kill_switch: bool = False
    touched: tuple[Scope, ...] = ()
    """Scopes of the never-touch list whose recorded traffic lies in the target."""

    def values_of(self, dimension: str, scope: Scope) -> frozenset[str]:
        """All values of a dimension that traffic of the scope may have; empty: not known."""
        named = scope.get(dimension)
        return self.values.get(dimension, frozenset()) if named is None else frozenset({named})


# --- the explanation -------------------------------------------------------------------------------------------


class RuleLine(Part):
    """One rule in order: whether it matched, and why or why not."""

    name: str
    verdict: Verdict
    matched: bool
    why: str


class LimitLine(Part):
    """One limit that holds now: the highest verdict that it leaves."""

    name: str
    cap: Verdict
    why: str


class Explanation(Part):
    """Every rule in order, every limit that holds, and the ruling that follows."""

    rules: tuple[RuleLine, ...]
    limits: tuple[LimitLine, ...]
    ruling: Ruling


def explain(
    proposal: Proposal, policy: Policy, facts: RulingFacts, now: datetime, *, phase: Phase = "proposal"
) -> Explanation:
    """Why the policy says what it says of a proposal: the rules in order, then the limits that hold."""
    lines = [_nothing_to_change(proposal), *(_rule_line(rule, proposal, facts) for rule in policy.rules)]
    chosen = next((line for line in lines if line.matched), None)
    why = "no rule matched" if chosen is None else f"{chosen.name} matched before it"
    lines.append(RuleLine(name="default", verdict="ask", matched=chosen is None, why=why))
    chosen = chosen or lines[-1]
    limits = (
        *_stops(proposal, policy, facts),
        *_autonomy(proposal, policy, facts),
        *_counts(proposal, policy, facts),
        *_calendar(policy, now),
    )
    ruling = Ruling(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        verdict=min([chosen.verdict, *(line.cap for line in limits)], key=_rung),
        rule=chosen.name,
        lowered_by=tuple(line.name for line in limits if _rung(line.cap) < _rung(chosen.verdict)),
        policy_version=policy.version,
        ruled_at=now,
        phase=phase,
        approvers=approvers(proposal, policy, facts),
        quorum=policy.quorum.of(proposal.risk),
    )
    return Explanation(rules=tuple(lines), limits=limits, ruling=ruling)


def rule(proposal: Proposal, policy: Policy, facts: RulingFacts, now: datetime, *, phase: Phase = "proposal") -> Ruling:
    """The policy's word on a proposal: observe (nothing may happen), ask (people decide) or apply."""
    return explain(proposal, policy, facts, now, phase=phase).ruling


def owner_of(scope: Scope, policy: Policy, facts: RulingFacts) -> Owner | None:
    """The first owner entry whose every glob matches all traffic of the scope."""
    for owner in policy.owners:
        found = {name: facts.values_of(name, scope) for name in owner.scope}
        if all(
            values and all(fnmatchcase(value, owner.scope[name]) for value in values) for name, values in found.items()
        ):
            return owner
    return None


def approvers(proposal: Proposal, policy: Policy, facts: RulingFacts) -> tuple[str, ...]:
    """Who may approve it: the owner's approvers, else the global list; an owner's people for a tighter limit.

    Whoever made the proposal is never among them. Empty means nobody.
    """
    owner = owner_of(proposal.scope, policy, facts)
    if owner is None:
        allowed = policy.approvers
    else:
        allowed = policy.approvers if owner.approvers is None else owner.approvers
        if policy.owners_may_tighten and all(tightens(action) for action in proposal.actions):
            allowed = (*allowed, *owner.people)
    return tuple(person for person in dict.fromkeys(allowed) if person != proposal.made_by)


# --- rules -----------------------------------------------------------------------------------------------------


def _rung(verdict: Verdict) -> int:
    return LADDER.index(verdict)


def _nothing_to_change(proposal: Proposal) -> RuleLine:
    nothing = all(action.kind == "notify" for action in proposal.actions)
    why = "no gateway would change: nobody has to approve it" if nothing else "a gateway would change"
    return RuleLine(name="nothing-to-change", verdict="observe", matched=nothing, why=why)


def _rule_line(rule: Rule, proposal: Proposal, facts: RulingFacts) -> RuleLine:
    against = next(_objections(rule.when, proposal, facts), None)
    return RuleLine(
        name=rule.name,
        verdict=rule.verdict,
        matched=against is None,
        why=against or "every condition holds",
    )


def _objections(when: When, proposal: Proposal, facts: RulingFacts) -> Iterator[str]:
    for name, value, allowed in (
        ("cause", proposal.cause, when.causes),
        ("playbook", proposal.playbook, when.playbooks),
        ("risk", proposal.risk, when.risk),
    ):
        if allowed is not None and value not in allowed:
            yield f"{name} {value} is not one of {', '.join(allowed) or 'none'}"
    for dimension, known in (("environment", when.environments), ("team", when.teams)):
        values = facts.values_of(dimension, proposal.scope)
        if known is not None and not (values and values <= set(known)):
            found = ", ".join(sorted(values)) or "not known"
            yield f"{dimension} of the traffic ({found}) is not only {', '.join(known) or 'none'}"
    # Written so that a confidence that is no number never passes.
    if when.min_confidence is not None and not proposal.confidence >= when.min_confidence:
        yield f"confidence {proposal.confidence:.2f} is below {when.min_confidence:.2f}"
    most = when.max_saving_usd_per_day
    if most is not None and proposal.saving.mid > to_nanos(most):
        yield f"a saving of {usd_text(proposal.saving.mid)} a day is above {usd_text(to_nanos(most))}"
    if when.reversible is not None and proposal.reversible is not when.reversible:
        yield "it is reversible" if proposal.reversible else "it is not reversible"


# --- limits ----------------------------------------------------------------------------------------------------


def _stops(proposal: Proposal, policy: Policy, facts: RulingFacts) -> Iterator[LimitLine]:
    """What leaves nothing to decide: not even a person's approval makes an effect."""
    yield LimitLine(name=f"mode:{policy.mode}", cap=_MODE_CAP[policy.mode], why=f"policy.mode is {policy.mode}")
    if facts.kill_switch:
        yield LimitLine(name="kill-switch", cap="observe", why="the kill switch is on")
    targets = [proposal.scope, *(action.target for action in proposal.actions if action.kind != "notify")]
    touched = next((found for target in targets if (found := touches(target, policy.never_touch))), None)
    touched = touched or next(iter(facts.touched), None)
    if touched is not None:
        yield LimitLine(name="never-touch", cap="observe", why=f"{touched.text} is on the never-touch list")
    for note in facts.trust:
        if any(note.scope.overlaps(target) for target in targets):
            yield LimitLine(name=f"trust:{note.kind}", cap="observe", why=note.says)
    kinds = {action.kind for action in proposal.actions} - {"notify"}
    handled = frozenset() if facts.capabilities is None else facts.capabilities.handles
    if kinds - handled:
        why = f"the gateway cannot do {', '.join(sorted(kinds - handled))}, or cannot be read"
        yield LimitLine(name="gateway", cap="observe", why=why)


def _autonomy(proposal: Proposal, policy: Policy, facts: RulingFacts) -> Iterator[LimitLine]:
    """What a change must have to be made without a person."""
    can, limits = facts.capabilities, policy.limits
    if can is None or not (can.readback and can.marker and can.probe):
        yield LimitLine(
            name="capabilities", cap="ask", why="autonomy needs read-back, a marker and a probe at the gateway"
        )
    if any(action.kind == "block_key" for action in proposal.actions):
        yield LimitLine(name="block-key", cap="ask", why="a key is never blocked without a person")
    if any(loosens(action) for action in proposal.actions):
        yield LimitLine(name="loosening", cap="ask", why="a limit is never loosened without a person")
    if limits.only_reversible and not proposal.reversible:
        yield LimitLine(name="only-reversible", cap="ask", why="it cannot be undone")
    if not proposal.confidence >= limits.min_confidence:
        why = f"confidence {proposal.confidence:.2f} is below {limits.min_confidence:.2f}"
        yield LimitLine(name="min-confidence", cap="ask", why=why)
    if not facts.attested_share >= limits.min_attested_share:
        why = f"only {facts.attested_share:.0%} of the target's records come from a gateway or provider"
        yield LimitLine(name="attested", cap="ask", why=why)


def _counts(proposal: Proposal, policy: Policy, facts: RulingFacts) -> Iterator[LimitLine]:
    """Caps on how much is changed without a person."""
    limits = policy.limits
    for name, count, most in (
        ("effects-per-hour", facts.effects_last_hour, limits.effects_per_hour),
        ("effects-per-day", facts.effects_last_day, limits.effects_per_day),
        ("effects-per-scope", facts.effects_in_scope_last_day, limits.effects_per_scope_per_day),
        ("scopes-per-day", facts.scopes_last_day, limits.scopes_per_day),
    ):
        if count >= most:
            yield LimitLine(name=name, cap="ask", why=f"{count} of at most {most} are used up")
    if facts.spend_nanos_per_day > to_nanos(limits.spend_usd_per_day):
        why = f"{proposal.scope.text} spends {usd_text(facts.spend_nanos_per_day)} a day"
        yield LimitLine(name="spend-per-day", cap="ask", why=why)


def _calendar(policy: Policy, now: datetime) -> Iterator[LimitLine]:
    """When people want to be asked."""
    quiet = policy.limits.quiet_hours
    if quiet is not None and quiet.hold(now):
        why = f"quiet hours {quiet.start:%H:%M} to {quiet.end:%H:%M} {quiet.time_zone}"
        yield LimitLine(name="quiet-hours", cap="ask", why=why)
    for freeze in policy.limits.freeze:
        if freeze.start <= now < freeze.end:
            yield LimitLine(name=f"freeze:{freeze.name}", cap="ask", why=f"the freeze {freeze.name} holds")
