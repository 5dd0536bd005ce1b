"""Kill -9 at every named failpoint of the reconciler; started again, it settles with exactly one effect."""

import multiprocessing
import signal
from pathlib import Path

import pytest

from agent.failpoints import FAILPOINTS, from_environment, nothing
from store.errors import BadInput
from tests.agent.reconcile_child import Story, file_remedy, open_all, walk
from tests.simulation.story import REMEDY

ENDS: dict[Story, tuple[str, list[str]]] = {
    "works": ("returned", ["apply", "expire"]),
    "harms": ("harmed", ["apply", "revert"]),
    "loses_its_answer": ("returned", ["apply", "expire"]),
}


def story_of(failpoint: str) -> Story:
    """The story that passes the failpoint."""
    if failpoint.startswith("revert."):
        return "harms"
    return "loses_its_answer" if failpoint.startswith("resolve.") else "works"


def child(folder: Path, story: Story, failpoint: str) -> int | None:
    """Run the walk in a process of its own; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.agent.reconcile_child"])
    process = context.Process(target=walk, args=(folder, story, failpoint))
    process.start()
    process.join(60)
    return process.exitcode


def settles_with_one_effect(folder: Path, story: Story) -> None:
    """Start it once more, unharmed, and look at the gateway's own log."""
    assert child(folder, story, "") == 0
    _, ledger, gateway = open_all(folder)
    remedy = ledger.remedy(REMEDY)
    assert remedy is not None
    outcome, effects = ENDS[story]
    assert (remedy.state, remedy.outcome) == ("closed", outcome)
    assert [one.what for one in gateway.log] == effects
    assert ledger.verify_audit().ok
    ledger.close()


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_once_it_settles_with_one_effect(tmp_path: Path, failpoint: str) -> None:
    """Whatever the point, the effect happens once and the audit chain holds."""
    file_remedy(tmp_path)
    assert child(tmp_path, story_of(failpoint), failpoint) == -signal.SIGKILL
    settles_with_one_effect(tmp_path, story_of(failpoint))


@pytest.mark.exam
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_three_times_it_settles_with_one_effect(tmp_path: Path, failpoint: str) -> None:
    """Killed again on each restart that passes the point."""
    file_remedy(tmp_path)
    assert child(tmp_path, story_of(failpoint), failpoint) == -signal.SIGKILL
    for _ in range(2):
        assert child(tmp_path, story_of(failpoint), failpoint) in (-signal.SIGKILL, 0)
    settles_with_one_effect(tmp_path, story_of(failpoint))


def test_the_service_has_no_failpoint() -> None:
    """Without the variable nothing happens."""
    assert from_environment({}) is nothing


@pytest.mark.parametrize("wrong", ["apply", "apply.called:0", "apply.called:x", "nowhere:1"])
def test_an_unknown_failpoint_is_refused(wrong: str) -> None:
    """A sweep over a name that does not exist would prove nothing."""
    with pytest.raises(BadInput, match="BURSAR_FAILPOINT"):
        from_environment({"BURSAR_FAILPOINT": wrong})
