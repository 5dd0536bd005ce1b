"""The scripted people of the demo: they read what waits for them and answer as the story says."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from evals.demo.story import Answer
from evals.demo.truth import true_incident
from evals.world.world import TrueIncident
from store.ledger.ledger import Cast, Ledger
from store.model.remedy import Proposal, Vote


class ScriptedApprover:
    """Votes by the ledger's own door, like a person. Whom no answer is written for is not answered."""

    def __init__(
        self,
        answers: Mapping[str, Sequence[Answer]],
        *,
        truth: Sequence[TrueIncident],
        owners: Mapping[str, str],
        on_call: str,
    ) -> None:
        self._answers = answers
        self._truth = truth
        self._owners = owners
        self._on_call = on_call
        self._given: dict[str, int] = {}

    def look(self, ledger: Ledger, now: datetime) -> list[Cast]:
        """Answer every question whose time has come; what became of the votes."""
        cast = []
        for remedy in ledger.remedies(states={"pending"}):
            proposal = ledger.proposal(remedy.remedy_id, remedy.revision)
            about = None if proposal is None else self._about(ledger, proposal)
            if proposal is None or about is None:
                continue
            team, app = about
            answer = self._answer(app)
            if answer.choice is None or now < proposal.made_at + answer.after:
                continue
            vote = Vote(
                remedy_id=remedy.remedy_id,
                revision=remedy.revision,
                person=self._owners.get(team, self._on_call),
                choice=answer.choice,
                at=now,
                reason=answer.reason,
                via="script",
            )
            cast.append(ledger.cast(vote))
            self._given[app] = self._given.get(app, 0) + 1
        return cast

    def _about(self, ledger: Ledger, proposal: Proposal) -> tuple[str, str] | None:
        """The team and app that the question is about, as its people know them."""
        incident = ledger.incident(proposal.incident_id)
        if incident is None:
            return None
        for asked in (proposal.scope, incident.scope):
            known = true_incident(asked, incident.window, self._truth)
            scope = known.scope if known else asked
            team, app = scope.get("team"), scope.get("app")
            if team is not None and app is not None:
                return team, app
        return None

    def _answer(self, app: str) -> Answer:
        answers = self._answers.get(app, (Answer(None),))
        return answers[min(self._given.get(app, 0), len(answers) - 1)]
