"""Cap the calls of one session."""

import math

from pydantic import Field

from playbooks.estimate import Case, case_of, draft
from playbooks.normal import calls_per_session, larger
from playbooks.ordinary_day import Day, ordinary_day
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, number
from playbooks.replay.limits import beyond_cap, replay_session_cap
from playbooks.replay.outcome import Replayed
from playbooks.running_sessions import running_sessions
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import SetSessionCap
from store.model.usage import to_us


class SessionCapParams(Params):
    """Bounds keep the cap well above what sessions normally need."""

    multiple: float = Field(default=2.0, ge=1.2, le=10)
    """Of the normal 99th percentile of calls in a session."""
    floor_calls: int = Field(default=20, ge=5, le=1000)
    """Never a cap below this many calls."""
    unknown_calls: int = Field(default=100, ge=20, le=10_000)
    """The cap where no normal session is known."""


class SessionCap(Playbook):
    """Ends a session after so many calls.

    Fits: an agent that calls itself again and again, or spawns sub-agents without end.
    Parameters: `multiple` (1.2 to 10) of the normal p99 of calls per session, `floor_calls` (5 to 1000),
    `unknown_calls` (20 to 10,000), `lease_hours` (0.01 to 168).
    Risk: low. It can stop a legitimate long task; other sessions go on.
    Undo: the cap is removed; stopped sessions may call again at once.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "session_cap"
    causes = ("agent_loop", "fan_out")
    kinds = ("set_session_cap",)
    risk = "low"
    reversible = True
    params = SessionCapParams
    harm_if_wrong = 0.5

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A cap at a multiple of normal; None where no session passes it."""
        assert isinstance(params, SessionCapParams)
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        normal = larger(number(finding, "session_calls_p99_normal"), calls_per_session(case.reference_records))
        wanted = params.unknown_calls if normal is None else math.ceil(normal * params.multiple)
        cap = max(params.floor_calls, wanted)
        replayed = replay_session_cap(case.records, max_calls=cap)
        return draft(
            self,
            case,
            SetSessionCap(target=case.target, max_calls=cap),
            replayed,
            params,
            quality_note=f"Sessions of more than {cap} calls are stopped"
            + (f"; 99 of 100 normal sessions need at most {normal:.0f}." if normal is not None else "."),
            undo_note="The cap is removed; stopped sessions may go on at once.",
            day=_day(case, cap, replayed),
        )


def _day(case: Case, cap: int, replayed: Replayed) -> Day | None:
    """Where a session loops, what it would go on to do; where sessions fan out, a day of such sessions."""
    if case.cause != "agent_loop":
        return ordinary_day(
            case.records,
            case.reference_records,
            case.window,
            replayed,
            lambda records: beyond_cap(records, max_calls=cap),
            at_us=to_us(case.now),
        )
    return running_sessions(case.records, replayed, max_calls=cap, window=case.window)
