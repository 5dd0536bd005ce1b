"""Have a broken prompt prefix mended where it is written: in the application."""

from typing import NamedTuple

from pydantic import Field

from playbooks.estimate import advice, case_of, draft
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, number, text
from playbooks.replay.price import input_tokens
from playbooks.replay.thinking import cache_shares, replay_mended_cache
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import OpenIssue
from store.model.usage import NONE, RecordTable

_PATCH = """\
-    system = [{"type": "text", "text": f"Now: {now()}\\n{INSTRUCTIONS}", "cache_control": {"type": "ephemeral"}}]
-    messages = history + [{"role": "user", "content": question}]
+    system = [{"type": "text", "text": INSTRUCTIONS, "cache_control": {"type": "ephemeral"}}]
+    messages = history + [{"role": "user", "content": f"{question}\\n\\n(Now: {now()})"}]
"""


class CacheRepairParams(Params):
    """Where issues go; without a repository the text goes to the owner."""

    repository: str = Field(default="", max_length=200)
    """"owner/name" at the code host."""
    min_saving_share: float = Field(default=0.03, ge=0.01, le=0.9)
    """Of the target's spend in the replay."""


class CacheRepair(Playbook):
    """Opens an issue, or tells the owner, with where the prompt's prefix first differs and how to mend it.

    Fits: a clock, an id, a memory or a tool list that changes in front of the prompt, so that nothing behind it is ever
    read from the cache. No gateway can mend that; it can only end the write premium (`prompt_cache`).
    Parameters: `repository` ("owner/name"; empty: the owner is told), `min_saving_share` (0.01 to 0.9) of the target's
    spend, `lease_hours` (0.01 to 168).
    Risk: low. Nothing changes until people merge a patch.
    Undo: the issue is closed.
    Verified: half of the replayed share of the excess is gone within an hour of the release that mends it.
    """

    name = "cache_repair"
    causes = ("cache_break", "cache_below_minimum")
    kinds = ("open_issue", "notify")
    risk = "low"
    reversible = True
    params = CacheRepairParams
    harm_if_wrong = 0.1
    uptake = 0.3

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The text and what it is worth; None where the cache did no better before."""
        assert isinstance(params, CacheRepairParams)
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        read, written = cache_shares(case.reference_records)
        replayed = replay_mended_cache(case.records, facts.prices, read_per_mille=read, write_per_mille=written)
        saved = replayed.spent_before_nanos - replayed.spent_after_nanos
        if saved < params.min_saving_share * replayed.spent_before_nanos:
            return None
        broken = _where(finding, case.records, case.reference_records)
        body = _body(finding, broken, read)
        told = advice(self, case, finding, f"{broken.says} {body}", replayed, params, measure=input_tokens)
        if not params.repository:
            return told
        issue = draft(
            self,
            case,
            OpenIssue(
                target=case.target,
                repository=params.repository,
                title=f"Prompt cache broken: {case.target.text}",
                body=f"{broken.says}\n\n{body}",
            ),
            replayed,
            params,
            quality_note="Nothing changes until somebody merges a patch.",
            undo_note="The issue is closed.",
            measure=input_tokens,
        )
        return None if issue is None else issue.model_copy(update={"otherwise": told})


class _Break(NamedTuple):
    says: str


def _where(finding: Finding, records: RecordTable, reference: RecordTable) -> _Break:
    """Where the prefix first differs, as exactly as is known: the guard's position, else the release that began it."""
    kind, offset = text(finding, "prefix_break_kind"), number(finding, "prefix_break_offset")
    if offset is not None:
        return _Break(f"The prefix first differs at token {offset:,.0f}{f' ({kind})' if kind else ''}.")
    before = set(reference.column("release").tolist())
    fresh = sorted({str(name) for name in records.column("release").tolist()} - before - {NONE})
    if fresh:
        return _Break(f"The prefix changes since release {', '.join(fresh[:3])}: look at what it puts into the prompt.")
    changes = number(finding, "prefix_changes_share")
    share = "" if changes is None else f" in {changes:.0%} of the calls"
    return _Break(f"The prefix differs from the previous call's{share}; the guard can report the position.")


def _body(finding: Finding, broken: _Break, read: int) -> str:  # noqa: ARG001 the position stands in front
    tokens = number(finding, "prefix_tokens")
    return (
        f"{read / 10:.0f} % of the input was read from the cache before; now it is written again and again."
        + (f" The prefix has about {tokens:,.0f} tokens." if tokens is not None else "")
        + " Move everything that changes (time, ids, user data, tools in changing order) behind the last cache"
        f" breakpoint, and sort tools by name. For example:\n\n{_PATCH}"
    )
