"""Put the prompt cache right from the gateway, where the replay says that it pays."""

import numpy as np
from pydantic import Field

from playbooks.estimate import Measure, case_of, draft
from playbooks.models import minimum_prefixes
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.cache import Ttl, replay_cache
from playbooks.replay.onset import began, from_row
from playbooks.replay.outcome import Nanos, Replayed
from playbooks.replay.price import input_tokens
from playbooks.targets import limit_target
from store.model.incident import Cause, Finding
from store.model.remedy import SetPromptCache
from store.model.usage import RecordTable


class PromptCacheParams(Params):
    """What a change of the cache must bring to be worth a change."""

    min_saving_share: float = Field(default=0.03, ge=0.01, le=0.9)
    """Of the target's spend in the replay."""


class PromptCache(Playbook):
    """Puts a breakpoint behind the stable prefix (5 minutes or 1 hour), or takes all breakpoints out.

    Fits: a prefix that changes with every call and is written to the cache each time (out, until the prompt is
    mended), reuse gaps longer than the lifetime (1 hour), a write premium that no read earns back.
    Parameters: `min_saving_share` (0.01 to 0.9) that the replay must show, `lease_hours` (0.01 to 168).
    Risk: medium. A breakpoint in the wrong place costs the write premium; answers do not change.
    Undo: the application's own breakpoints are sent on as they are.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "prompt_cache"
    causes = ("cache_break", "cache_ttl", "cache_write_premium")
    kinds = ("set_prompt_cache",)
    risk = "medium"
    reversible = True
    params = PromptCacheParams
    harm_if_wrong = 0.25

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The setting that the replay finds cheapest; None where none saves enough."""
        assert isinstance(params, PromptCacheParams)
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        ttl, replayed = _cheapest(case.cause, case.records, facts)
        saved = replayed.spent_before_nanos - replayed.spent_after_nanos
        if saved <= 0 or saved < params.min_saving_share * replayed.spent_before_nanos:
            return None
        return draft(
            self,
            case,
            SetPromptCache(target=case.target, ttl=ttl),
            replayed,
            params,
            quality_note="Answers do not change. "
            + (
                "The cost of cache writes ends; the prompt itself still has to be mended."
                if ttl == "off"
                else f"Prefixes are kept {ttl} after each use; if the prefix starts to change, each call pays a write."
            ),
            undo_note="The application's own cache breakpoints are sent on as they are.",
            measure=_measure(case.cause, ttl, facts),
        )


def _measure(cause: Cause, ttl: Ttl, facts: ProposalFacts) -> Measure:
    """What the saving goes with: the input; where entries die too soon, what the longer life is worth at each call."""
    if cause != "cache_ttl" or ttl != "1h":
        return input_tokens

    def worth(records: RecordTable) -> Nanos:
        minimum = minimum_prefixes({str(model) for model in records.column("model").tolist()})
        short, long = (
            replay_cache(records, facts.prices, ttl=life, minimum_prefix=minimum).after for life in ("5m", "1h")
        )
        return short - long

    return worth


def _cheapest(cause: Cause, records: RecordTable, facts: ProposalFacts) -> tuple[Ttl, Replayed]:
    minimum = minimum_prefixes({str(model) for model in records.column("model").tolist()})
    settings: tuple[Ttl, ...] = ("off", "5m", "1h")
    tried = [(ttl, replay_cache(records, facts.prices, ttl=ttl, minimum_prefix=minimum)) for ttl in settings]
    # What the cache was before the fault is no reason to choose: from where any setting would have been cheaper.
    best = np.minimum.reduce([replayed.after for _, replayed in tried])
    like = tried[1][1].after - tried[2][1].after if cause == "cache_ttl" else input_tokens(records)
    since = began(tried[0][1].before - best, like)
    return min(
        ((ttl, from_row(replayed, since)) for ttl, replayed in tried), key=lambda pair: pair[1].spent_after_nanos
    )
