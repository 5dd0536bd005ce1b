"""Broken stand-ins for the ledger and the gateway: each leaves out one rule, and the simulation must catch it."""

# ruff: noqa: ARG002 - what a broken part leaves out are arguments that it is given

from datetime import datetime, timedelta

from store.ledger.values import Cast
from store.model.ports import Applied, Capabilities
from store.model.remedy import Action, Claim, Decision, Proposal, SetRateLimit, Vote
from tests.simulation.faulty_gateway import FaultyGateway
from tests.simulation.memory_rows import Life
from tests.simulation.world import FlakyMemoryLedger


class NoFence(FlakyMemoryLedger):
    """A worker that lost its claim is not told, and its words still count."""

    def _is_ours(self, life: Life, claim: Claim) -> bool:
        return True

    def _is_live(self, life: Life, claim: Claim) -> bool:
        return True


class NoSwitch(FlakyMemoryLedger):
    """Nobody hears of the kill switch."""

    def kill_switch(self) -> bool:
        """Never on."""
        return False


class AsksNobody(FlakyMemoryLedger):
    """What waits for people is taken for approved."""

    def _repair(self, life: Life) -> None:
        if life.row.state == "pending" and life.row.revision not in life.decisions:
            plan = life.newest()
            self._settle(
                life,
                Decision(
                    remedy_id=plan.remedy_id,
                    revision=plan.revision,
                    outcome="approved",
                    decided_by=("nobody",),
                    decided_at=self._clock(),
                    plan_hash=plan.plan_hash,
                ),
            )
        super()._repair(life)


class CountsOneVoice(FlakyMemoryLedger):
    """One person is enough where two were asked for, and a no is a yes."""

    def cast(self, vote: Vote) -> Cast:
        """Any word approves."""
        self._lives[vote.remedy_id].rulings[:] = [
            one.model_copy(update={"quorum": 1}) for one in self._lives[vote.remedy_id].rulings
        ]
        return super().cast(vote.model_copy(update={"choice": "approve"}))


class SwapsPlans(FlakyMemoryLedger):
    """After the approval the plan is another one, hash and all."""

    def proposal(self, remedy_id: str, revision: int | None = None) -> Proposal | None:
        """The filed plan with a limit of one."""
        plan = super().proposal(remedy_id, revision)
        if plan is None:
            return None
        (action,) = plan.actions
        assert isinstance(action, SetRateLimit)
        return plan.model_copy(update={"actions": (action.model_copy(update={"requests_per_minute": 1}),)})

    def decision(self, remedy_id: str, revision: int) -> Decision | None:
        """The decision, bound to the swapped plan."""
        found, plan = super().decision(remedy_id, revision), self.proposal(remedy_id, revision)
        return None if found is None or plan is None else found.model_copy(update={"plan_hash": plan.plan_hash})

    def _repair(self, life: Life) -> None:
        super()._repair(life)
        for revision, found in life.decisions.items():
            plan = self.proposal(found.remedy_id, revision)
            assert plan is not None
            life.decisions[revision] = found.model_copy(update={"plan_hash": plan.plan_hash})


class BoastsOfCas(FaultyGateway):
    """It says that it compares and sets, and only sets."""

    def capabilities(self) -> Capabilities:
        """Everything, so it says."""
        return super().capabilities().model_copy(update={"cas": True})


class ForgetsLeases(FaultyGateway):
    """It never drops what has expired."""

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """For ten years."""
        return super().apply(
            action,
            marker=marker,
            idempotency_key=idempotency_key,
            expected_version=expected_version,
            expires_at=expires_at + timedelta(days=3650),
        )


class Forces(FaultyGateway):
    """It takes every order as it comes: no version, no key, no marker."""

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Set it as if for the first time."""
        return super().apply(
            action,
            marker=marker,
            idempotency_key=f"{idempotency_key}:{len(self.log)}:{self.look(action).version}",
            expected_version=self.look(action).version,
            expires_at=expires_at,
        )

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Put the old value there, whatever stands there now."""
        self.edit(action, action.was, who=marker)
        return Applied(status="done", version=self.look(action).version)
