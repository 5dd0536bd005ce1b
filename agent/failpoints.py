"""Named points at which the reconciler can be killed or pre-empted: every arrow of a remedy's walk.

In the service a failpoint does nothing. Tests hand in their own, or set BURSAR_FAILPOINT in a child process
("apply.called", or "apply.called:2" for the second time that it is reached) to have that process kill itself.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from store.errors import BadInput

Name = Literal[
    "look.claimed",
    "apply.permitted",
    "apply.intended",
    "apply.observed",
    "apply.fenced",
    "apply.called",
    "apply.read_back",
    "apply.concluded",
    "resolve.observed",
    "resolve.concluded",
    "verify.measured",
    "verify.concluded",
    "expire.observed",
    "expire.concluded",
    "revert.intended",
    "revert.observed",
    "revert.fenced",
    "revert.called",
    "revert.read_back",
    "revert.concluded",
]

FAILPOINTS: tuple[str, ...] = get_args(Name)

Failpoint = Callable[[Name], None]


def nothing(_: Name) -> None:
    """The failpoint of the service: go on."""


def from_environment(environment: Mapping[str, str]) -> Failpoint:
    """The failpoint that BURSAR_FAILPOINT asks for; for tests only. SIGKILL: no handler runs, nothing is flushed.

    Raises:
        BadInput: it names no failpoint, or its count is not a whole number above 0.
    """
    wanted = environment.get("BURSAR_FAILPOINT", "")
    if not wanted:
        return nothing
    name, _, count = wanted.partition(":")
    if name not in FAILPOINTS or not (count or "1").isdigit() or (count and int(count) < 1):
        raise BadInput(f"BURSAR_FAILPOINT={wanted}: expected NAME or NAME:COUNT with one of {', '.join(FAILPOINTS)}")
    hits: Counter[str] = Counter()

    def kill(reached: Name) -> None:
        hits[reached] += 1
        if reached == name and hits[reached] == int(count or "1"):
            os.kill(os.getpid(), signal.SIGKILL)

    return kill
