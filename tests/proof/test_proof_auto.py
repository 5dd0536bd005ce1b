"""Proof 1: in staging, with rules that may act, a looping agent is stopped by itself, and only for a while."""

from tests.proof.conftest import Play
from tests.proof.scene import BANNER, CRAWLER, LEASE_SECONDS, LOOP_CALLS, WRITER

CHAT = "/v1/chat/completions"


def test_a_looping_agent_is_stopped_and_the_lease_ends(play: Play) -> None:
    """The loop's client is told no for good, every other client goes on, and after the lease all is as before."""
    scene = play(mode="auto")
    scene.serve_and_wait()
    assert scene.changes in ([], [[]]), "with a quiet history nothing is changed"

    answers = scene.loop("night-run")

    assert {answer["status"] for answer in answers} == {200}
    assert len(scene.asked(CRAWLER)) == LOOP_CALLS
    scene.until(lambda: scene.changes and scene.changes[-1], 120, "a rule at the proxy")
    ((rule,),) = scene.changes[1:]
    assert rule["action"]["kind"] in {"set_session_cap", "set_rate_limit"}
    assert rule["action"]["target"].items() >= {"team": "research", "app": "crawler"}.items()
    refused_before = scene.proxy.answers(CHAT, 403)
    answer = scene.call(CRAWLER, session="night-run")
    while answer["status"] == 200 and len(scene.asked(CRAWLER)) < 2 * LOOP_CALLS:
        answer = scene.call(CRAWLER, session="night-run")
    assert answer["raised"] == "PermissionDeniedError", "a terminal refusal, which the real client does not retry"
    assert scene.proxy.answers(CHAT, 403) == refused_before + 1
    assert answer["headers"]["x-bursar-remedy"] == rule["remedy_id"]
    assert rule["remedy_id"] in answer["body"]["error"]["message"]
    assert scene.call(CRAWLER, session="another-run")["status"] == 200
    assert scene.call(WRITER)["status"] == scene.call(BANNER)["status"] == 200
    scene.until(lambda: scene.threads() and "night-run" in scene.says(), 20, "the thread names the session")

    scene.until(lambda: scene.changes[-1] == [], LEASE_SECONDS + 30, "the rule's end")

    assert scene.call(CRAWLER, session="night-run")["status"] == 200
    assert len(scene.changes) == 3, "one rule came, and went"
