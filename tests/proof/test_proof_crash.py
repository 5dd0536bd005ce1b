"""Proof 3: `bursar serve` is killed with SIGKILL around an effect, twice; the proxy sees the effect once."""

import signal

from tests.proof.conftest import Play
from tests.proof.scene import ASSISTANT
from tools.slack.blocks import APPROVE, UNDO

BETWEEN_APPROVAL_AND_EFFECT = "apply.intended"
BETWEEN_EFFECT_AND_RECEIPT = "apply.called"


def test_two_kills_make_one_effect(play: Play) -> None:
    """Killed after the approval, then killed again after the effect: one change at the proxy, and it can be undone."""
    scene = play(mode="ask", switch_seconds_ago=100 * 60)
    first = scene.serve_and_wait(failpoint=BETWEEN_APPROVAL_AND_EFFECT)
    scene.until(lambda: APPROVE in scene.buttons(), 120, "a plan that waits for a decision")

    scene.click(APPROVE)

    assert first.wait(60) == -signal.SIGKILL
    assert scene.changes in ([], [[]]), "killed before the effect"
    assert scene.call(ASSISTANT, model="claude-big")["headers"].get("x-bursar-remedy") is None

    second = scene.serve(failpoint=BETWEEN_EFFECT_AND_RECEIPT)

    assert second.wait(120) == -signal.SIGKILL
    scene.serve_and_wait()
    scene.until(lambda: UNDO in scene.buttons(), 90, "the receipt: it is in force")
    ((rule,),) = scene.changes[1:]
    assert scene.call(ASSISTANT, model="claude-big")["headers"]["x-bursar-remedy"] == rule["remedy_id"]
    assert scene.asked(ASSISTANT) == ["claude-opus-4-5", "claude-haiku-4-5"]
    assert len(scene.threads()) == 1, "and one thread"
    sequences = {payload["sequence"] for payload in scene.rule_sets if payload["rules"]}
    assert len(sequences) == 1, "the rule was written once"
