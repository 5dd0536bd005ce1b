"""Proof 4: the same loop in shadow mode. Bursar says what it would have done, and touches nothing."""

from tests.proof.conftest import Play
from tests.proof.scene import CRAWLER, LOOP_CALLS


def test_shadow_says_and_touches_nothing(play: Play) -> None:
    """The thread shows the plan that only observing kept back; the proxy never gets a rule, the loop goes on."""
    scene = play(mode="shadow")
    scene.serve_and_wait()

    scene.loop("night-run")

    scene.until(lambda: scene.threads() and "Only observed" in scene.says(), 120, "the thread")
    says = scene.says()
    assert "nothing was changed" in says
    assert "mode:shadow" in says
    assert "session_cap" in says or "rate_limit" in says
    assert "crawler" in says
    assert scene.buttons() == {}
    answers = [scene.call(CRAWLER, session="night-run") for _ in range(30)]
    assert {answer["status"] for answer in answers} == {200}
    assert not any("x-bursar-remedy" in answer["headers"] for answer in answers)
    assert set(scene.asked(CRAWLER)) == {"claude-opus-4-5"}
    assert len(scene.asked(CRAWLER)) == LOOP_CALLS + 30
    assert not any(scene.changes)
