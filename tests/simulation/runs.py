"""Many histories, what was wrong in any of them, and what happened in all of them."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.simulation.faulty_gateway import CALLS, FAULTS, FaultyGateway, Seen
from tests.simulation.history import JUMPS, play
from tests.simulation.invariants import faults_of
from tests.simulation.story import STEPS, Steps
from tests.simulation.world import Ground

Wrong = list[tuple[int, str]]
"""(seed, fault): a seed replays its history."""

MUST_BE_SEEN = (
    *(f"{verb}:{fault}" for verb in CALLS for fault in FAULTS[verb]),
    *(f"jump:{jump}" for jumps in JUMPS.values() for jump in jumps),
    *(f"clock:{clock}" for clock in JUMPS),
    *(f"step:{step}" for step in ("apply", "resolve", "verify", "expire", "revert", None)),
    *(
        f"state:{state}"
        for state in (
            *("observed", "pending", "approved", "applying", "unknown"),
            *("verifying", "kept", "reverting", "closed", "paging"),
        )
    ),
    *(f"outcome:{outcome}" for outcome in ("approved", "applied", "unknown", "worked", "inconclusive")),
    *(
        f"ended:closed:{outcome}"
        for outcome in (
            *("rejected", "approval_expired", "stale", "failed"),
            *("no_effect", "harmed", "returned", "drifted"),
        )
    ),
    "ended:observed:None",
    "ended:paging:undecidable",
    "ended:paging:revert_failed",
    *(
        f"ledger:{write}:{when}"
        for write in ("claim", "record_ruling", "intend", "conclude", "cast")
        for when in ("not_written", "written_unheard")
    ),
    *("death", "sleep", "edit", "switch", "undo:decided", "undo:not_allowed", "replan:True", "replan:False"),
)
"""Every kind of fault, state, end and event; a run of some thousand histories that lacks one proves too little."""


class Run(NamedTuple):
    """What many histories came to."""

    histories: int
    wrong: Wrong
    seen: Seen

    @property
    def kinds(self) -> set[str]:
        """The kinds of faults that were found."""
        return {fault for _, fault in self.wrong}

    def share(self, fault: str) -> float:
        """In which share of the histories this was found."""
        return len({seed for seed, one in self.wrong if one == fault}) / self.histories

    @property
    def unseen(self) -> list[str]:
        """What should have occurred and never did."""
        return sorted({name for name in MUST_BE_SEEN if not self.seen[name]})


def run(
    seeds: Iterable[int],
    *,
    cas: bool,
    ground: Callable[[], Ground] = Ground.in_memory,
    gateway: type[FaultyGateway] = FaultyGateway,
    steps: Steps = STEPS,
    until: str | None = None,
) -> Run:
    """Play the histories, each on a ground of its own; with `until`, only until that fault is found."""
    seen: Seen = Counter()
    wrong: Wrong = []
    histories = 0
    for seed in seeds:
        ended = play(ground(), seed, cas=cas, gateway=gateway, steps=steps)
        found = faults_of(ended)
        wrong += [(seed, fault) for fault in found]
        seen.update(ended.seen)
        histories += 1
        if until in found:
            break
    return Run(histories, wrong, seen)
