"""Spend that people expect: say so once, and it is shown and not acted upon."""

from datetime import timedelta
from shlex import quote

from pydantic import Field

from playbooks.playbook import HOUR, Draft, Params, Playbook, ProposalFacts, best_cause
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import Check, Notify, Saving
from store.model.usage import iso


class PlannedEventParams(Params):
    """How long the suggested entry holds."""

    hours: int = Field(default=24, ge=1, le=336)
    """From now on."""


class PlannedEvent(Playbook):
    """Gives the owner the command that marks the spend as planned, where it looks like a job that ends by itself.

    Fits: a backfill, a load test, a migration.
    Parameters: `hours` (1 to 336) that the entry holds, `lease_hours` (0.01 to 168), without effect.
    Risk: low. The spend goes on, and alerts of that scope are held back until the entry ends.
    Undo: bursar planned remove NAME.
    Verified: there is nothing to verify.
    """

    name = "planned_event"
    causes = ("batch_backfill",)
    kinds = ("notify",)
    risk = "low"
    reversible = True
    params = PlannedEventParams
    harm_if_wrong = 0.0
    uptake = 0.0

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The command; it saves nothing, and is for people who know that the spend is right."""
        assert isinstance(params, PlannedEventParams)
        matched = best_cause(finding, self.causes)
        if matched is None:
            return None
        until = iso((facts.now + timedelta(hours=params.hours)).replace(microsecond=0))
        target = limit_target(finding)
        scope = " ".join(f"--scope {quote(f'{name}={value}')}" for name, value in target.dims)
        message = (
            f"If this is meant to be: bursar planned add NAME {scope} --from {iso(finding.window.start)} --to {until} "
            "--because 'why'. Alerts there are held back until then."
        )
        return Draft(
            playbook=self.name,
            cause=matched[0],
            confidence=matched[1],
            actions=(Notify(target=finding.scope, message=message),),
            risk=self.risk,
            reversible=self.reversible,
            saving=Saving(low=0, mid=0, high=0, cash_mid=0, assumption="nothing changes"),
            quality_cost=0.0,
            harm_if_wrong=0.0,
            quality_note="Nothing changes; the spend goes on.",
            undo_note="bursar planned remove NAME",
            check=Check(window_seconds=HOUR, min_reduction=0.0),
            lease_seconds=params.lease_seconds,
            uptake=self.uptake,
        )
