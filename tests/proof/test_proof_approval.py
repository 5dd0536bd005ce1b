"""Proof 2: in production people decide. Nothing happens before; Approve swaps one app's model; Undo brings it back."""

from tests.proof.conftest import Play
from tests.proof.scene import ASSISTANT, BANNER, WRITER
from tools.slack.blocks import APPROVE, UNDO

BIG, SMALL = "claude-opus-4-5", "claude-haiku-4-5"


def test_a_click_swaps_the_model_and_undo_brings_it_back(play: Play) -> None:
    """An app was deployed with the dear model; only after Ann's click does the proxy answer it with the other one."""
    scene = play(mode="auto", switch_seconds_ago=100 * 60)
    scene.serve_and_wait()
    scene.until(lambda: APPROVE in scene.buttons(), 120, "a plan that waits for a decision")

    before = [scene.call(ASSISTANT, model="claude-big"), scene.call(WRITER), scene.call(BANNER)]

    assert "Waits for a decision" in scene.says()
    assert [answer["headers"].get("x-bursar-remedy") for answer in before] == [None, None, None]
    assert scene.asked(ASSISTANT) == [BIG]
    assert scene.changes in ([], [[]]), "nothing happens before somebody decided"

    scene.click(APPROVE)

    scene.until(lambda: scene.changes and scene.changes[-1], 60, "the rule at the proxy")
    ((rule,),) = scene.changes[1:]
    assert (rule["action"]["kind"], rule["action"]["to_model"]) == ("set_model_alias", "claude-small")
    swapped = scene.call(ASSISTANT, model="claude-big")
    assert swapped["headers"]["x-bursar-remedy"] == rule["remedy_id"]
    assert scene.asked(ASSISTANT) == [BIG, SMALL]
    others = [scene.call(WRITER), scene.call(BANNER)]
    assert [answer["headers"].get("x-bursar-remedy") for answer in others] == [None, None]
    assert set(scene.asked(WRITER)) == {BIG}, "another app keeps the model that it asks for"

    scene.click(UNDO)

    scene.until(lambda: scene.changes[-1] == [], 60, "the rule is gone")
    assert scene.call(ASSISTANT, model="claude-big")["headers"].get("x-bursar-remedy") is None
    assert scene.asked(ASSISTANT) == [BIG, SMALL, BIG]
    assert len(scene.changes) == 3, "one rule came, and went"
