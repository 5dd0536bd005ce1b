"""A review: the bounded loop in which a model asks read-only questions and then says which cause it believes.

Whatever the model does, a review ends: in a diagnosis that was checked, or in the reason why there is none. It has no
way to change anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from store.model.ports import Clock
from store.model.transcript import ReviewOutcome, Transcript
from store.model.usage import UsageRecord
from tools.reasoner.budget import Budget, Purse, caps_of
from tools.reasoner.caller import Caller, Post, Timing
from tools.reasoner.dialogue import Dialogue
from tools.reasoner.inquiry import Inquiry, Opinion
from tools.reasoner.redaction import Redactor
from tools.reasoner.settings import ReasonerSettings

BREAKER_FAILURES = 3
BREAKER_PAUSE = timedelta(hours=1)
FAILURES: frozenset[ReviewOutcome] = frozenset(
    {"refused", "empty", "cut", "malformed", "endless", "rejected", "unavailable", "misconfigured", "late"}
)

BECAUSE: dict[ReviewOutcome, str] = {
    "refused": "it refused to answer",
    "empty": "it answered nothing",
    "cut": "its answers were cut off",
    "malformed": "its answers were not in the form that was asked for",
    "endless": "it went on asking and gave no answer",
    "rejected": "its answer named evidence that does not exist, or none",
    "unavailable": "it could not be reached",
    "misconfigured": "the provider does not accept our requests (see the transcript; check `reasoner:` and the key)",
    "late": "it took too long",
    "incident_usd": "the cap in USD for one incident is reached",
    "incident_tokens": "the cap in tokens for one incident is reached",
    "day_usd": "the cap in USD for one day is reached",
    "paused": f"its last {BREAKER_FAILURES} reviews failed, and it is left alone for an hour",
}


@dataclass(frozen=True)
class Prompts:
    """The fixed texts: what the planner and the extractor are told."""

    planner: str
    extractor: str


@dataclass(frozen=True)
class Reasoner:
    """Reviews cases. `newest` gives when and how the newest reviews ended; `count` takes the usage records of a review.

    `post` makes one call; everything else is ours, and the same whatever comes back.
    """

    settings: ReasonerSettings
    prompts: Prompts
    post: Post
    budget: Budget
    purse: Purse
    redactor: Redactor
    timing: Timing
    clock: Clock
    newest: Callable[[int], Sequence[tuple[datetime, ReviewOutcome]]]
    count: Callable[[Sequence[UsageRecord]], object]

    def __call__(self, inquiry: Inquiry) -> Opinion:
        """Review one case. Never raises for what a model or its provider does."""
        if self._paused():
            return Opinion(None, "paused", self._says("paused", None))
        caller = Caller(
            incident_id=inquiry.incident_id,
            settings=self.settings,
            post=self.post,
            budget=self.budget,
            purse=self.purse,
            redactor=self.redactor,
            timing=self.timing,
            ends=self.timing.monotonic() + self.settings.seconds,
        )
        dialogue = Dialogue(inquiry, caller, planner=self.prompts.planner, extractor=self.prompts.extractor)
        outcome: ReviewOutcome = "unavailable"
        try:
            outcome = dialogue.hold()
        finally:
            self._file(inquiry, caller, outcome, dialogue)
        diagnosis = dialogue.diagnosis if outcome == "answered" else None
        return Opinion(diagnosis, outcome, self._says(outcome, dialogue), caller.cost_nanos)

    def _file(self, inquiry: Inquiry, caller: Caller, outcome: ReviewOutcome, dialogue: Dialogue) -> None:
        """Keep what was said and count what it took, also where the service fails on the way."""
        if caller.calls:
            self.purse.keep(
                Transcript(
                    incident_id=inquiry.incident_id,
                    revision=inquiry.revision,
                    made_at=self.clock(),
                    outcome=outcome,
                    says=self._says(outcome, dialogue),
                    cost_nanos=caller.cost_nanos,
                    calls=caller.calls,
                    caps=caps_of(self.settings),
                    entries=tuple(caller.entries),
                    names={key: self.redactor.clean(value) for key, value in inquiry.names().items()},
                )
            )
        if caller.records:
            self.count(caller.records)

    def _paused(self) -> bool:
        newest = self.newest(BREAKER_FAILURES)
        failed = len(newest) == BREAKER_FAILURES and all(outcome in FAILURES for _, outcome in newest)
        return failed and self.clock() < newest[0][0] + BREAKER_PAUSE

    def _says(self, outcome: ReviewOutcome, dialogue: Dialogue | None) -> str:
        model = self.settings.model
        if outcome == "answered":
            asked = dialogue.asked if dialogue else 0
            return f"A model ({model}) weighed the causes after {asked} question{'' if asked == 1 else 's'}."
        return f"A model ({model}) was to review this, but {BECAUSE[outcome]}: the analyst's answer stands."
