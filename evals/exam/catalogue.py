"""The cases, as data. Patterns are numbered in no meaningful order; a number is never given twice."""

from collections.abc import Sequence

from evals.exam.case import CONFOUNDERS, STRENGTHS, Case, Pattern
from evals.exam.faults.caching import ShorterLife, WriteOnly
from evals.exam.faults.dearer import FastMode, LongerContext, NewTokenizer
from evals.exam.faults.more_calls import Backfill, FanOut
from evals.exam.faults.partly import Partly
from evals.exam.faults.reshape import BiggerContext, LongerThinking, RunawayOutput
from evals.world.faults.agent_loop import AgentLoop
from evals.world.faults.cache_break import CacheBreak
from evals.world.faults.denial_of_wallet import DenialOfWallet
from evals.world.faults.launch import Launch
from evals.world.faults.leaked_key import LeakedKey
from evals.world.faults.model_switch import ModelSwitch
from evals.world.faults.retry_storm import RetryStorm
from store.errors import BadInput

PATTERNS: tuple[Pattern, ...] = (
    Pattern(7, "agent_loop", ("pr-reviewer", "lead-scout", "code-agent"), 1, (60, 150, 420),
            lambda app, window, size: AgentLoop(app, window, per_hour=size)),
    Pattern(3, "retry_storm", ("ticket-triage", "contract-review", "crm-notes"), 9, (0.4, 0.65, 0.9),
            lambda app, window, size: RetryStorm(app, window, share=size)),
    Pattern(12, "cache_break", ("dispute-desk", "code-agent", "sql-copilot"), 10, (0.5, 0.75, 1.0),
            lambda app, window, size: Partly(CacheBreak(app, window), size)),
    Pattern(1, "model_switch", ("contract-review", "ticket-triage", "crm-notes"), 9, (0.4, 0.7, 1.0),
            lambda app, window, size: Partly(ModelSwitch(app, window), size)),
    Pattern(15, "leaked_key", ("ci-helper", "redactor", "summaries"), 2, (40, 110, 230),
            lambda app, window, size: LeakedKey(app, window, per_hour=size)),
    Pattern(9, "organic_growth", ("ticket-triage", "contract-review", "campaign-writer"), 9, (1.0, 2.0, 4.0),
            lambda app, window, size: Launch(app, window, growth=size)),
    Pattern(4, "denial_of_wallet", ("assistant", "answer-box", "helpdesk-chat"), 18, (120, 280, 540),
            lambda app, window, size: DenialOfWallet(app, window, per_hour=size)),
    Pattern(11, "reasoning_effort", ("campaign-writer", "ledger-copilot", "contract-review"), 9, (1.5, 3.0, 6.0),
            lambda app, window, size: LongerThinking(app, window, times=size)),
    Pattern(2, "context_bloat", ("contract-review", "crm-notes", "campaign-writer"), 9, (1.8, 2.5, 4.0),
            lambda app, window, size: BiggerContext(app, window, times=size)),
    Pattern(14, "runaway_output", ("ticket-triage", "campaign-writer", "crm-notes"), 9, (0.25, 0.5, 0.9),
            lambda app, window, size: RunawayOutput(app, window, share=size)),
    Pattern(6, "batch_backfill", ("redactor", "contract-review", "crm-notes"), 0, (120, 300, 900),
            lambda app, window, size: Backfill(app, window, per_hour=size)),
    Pattern(10, "fan_out", ("phish-agent", "pr-reviewer", "code-agent"), 12, (1.5, 3.0, 6.0),
            lambda app, window, size: FanOut(app, window, siblings=size)),
    Pattern(5, "price_change", ("crm-notes", "campaign-writer", "ticket-triage"), 8, (1.5, 2.0, 2.8), money="dearer"),
    Pattern(13, "telemetry_fault", ("crm-notes", "campaign-writer", "ticket-triage"), 9, (2.5, 8.0, 40.0),
            money="inflated"),
    Pattern(16, "cache_ttl", ("rulebook", "case-notes"), 9, (0.5, 0.75, 1.0),
            lambda app, window, size: ShorterLife(app, window, share=size)),
    Pattern(17, "tokenizer_change", ("code-agent",), 9, (1.2, 1.35, 1.47),
            lambda app, window, size: NewTokenizer(app, window, factor=size)),
    Pattern(18, "long_context_tier", ("archive-reader",), 9, (1.2, 1.3, 1.5),
            lambda app, window, size: LongerContext(app, window, factor=size)),
    Pattern(19, "fast_mode", ("planner",), 9, (0.2, 0.5, 1.0),
            lambda app, window, size: FastMode(app, window, share=size)),
    Pattern(20, "cache_write_premium", ("contract-review", "ticket-triage"), 9, (0.5, 0.75, 1.0),
            lambda app, window, size: WriteOnly(app, window, share=size)),
    Pattern(8, "telemetry_fault", ("crm-notes", "campaign-writer"), 9, (0.5, 0.9, 1.0), money="free", hours=27),
)  # fmt: skip
"""Every pattern that the seeded world can make."""


def all_cases() -> list[Case]:
    """Every pattern at every strength beside every confounder."""
    cases = [Case(pattern, s, c) for pattern in PATTERNS for s in STRENGTHS for c in CONFOUNDERS]
    return sorted(cases, key=lambda case: case.name)


def core_cases() -> list[Case]:
    """Every pattern at every strength, confounders in turn; strong ones alone too, so that each has an easy case."""
    turn = [
        Case(pattern, strength, CONFOUNDERS[(i + pattern.number) % len(CONFOUNDERS)])
        for pattern in PATTERNS
        for i, strength in enumerate(STRENGTHS)
    ]
    return sorted({*turn, *(Case(pattern, "strong", "none") for pattern in PATTERNS)}, key=lambda case: case.name)


def named(names: Sequence[str]) -> list[Case]:
    """The cases of those names.

    Raises:
        BadInput: there is no case of that name.
    """
    known = {case.name: case for case in all_cases()}
    for name in names:
        if name not in known:
            raise BadInput(f"{name!r} is no case of the exam; `bursar eval --list --all` names them")
    return [known[name] for name in names]
