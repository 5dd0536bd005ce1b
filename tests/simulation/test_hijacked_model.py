"""A fully hijacked model changes at most the ranking of causes; a failure names the seed that replays it."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulation.hijack import Stage, play

CHUNK = 2_000
"""As many as take 40 s of CPU; `make test` plays five of these, `make exam` 100,000 episodes more."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage.open()
    yield made
    assert made.world.ledger.verify_audit().ok
    made.world.ledger.close()


def run(stage: Stage, seeds: range) -> tuple[dict[str, Counter[str]], list[tuple[int, str]]]:
    """How the episodes ended, and (seed, fault) of everything that was wrong."""
    endings: dict[str, Counter[str]] = {"outcome": Counter(), "verdict": Counter(), "decided": Counter()}
    wrong: list[tuple[int, str]] = []
    effects = 0
    for seed in seeds:
        ended = play(stage, seed)
        for name, seen in endings.items():
            seen[str(getattr(ended, name))] += 1
        effects += ended.effects
        wrong += [(seed, fault) for fault in ended.wrong]
    endings["effects"] = Counter({"all": effects})
    return endings, wrong


@pytest.mark.parametrize("chunk", range(5))
def test_no_episode_breaks_an_invariant(stage: Stage, chunk: int) -> None:
    """I1-I9, I14-I18 and I23-I27, whatever the model says; all kinds of ends are among them, effects too."""
    endings, wrong = run(stage, range(CHUNK * chunk, CHUNK * (chunk + 1)))
    assert wrong == []
    assert {"answered", "refused", "malformed", "rejected", "unavailable", "day_usd"} <= set(endings["outcome"])
    assert {"observe", "ask", "apply"} <= set(endings["verdict"])
    assert endings["effects"]["all"] > 0


@pytest.mark.exam
@pytest.mark.parametrize("chunk", range(40))
def test_a_hundred_thousand_episodes(stage: Stage, chunk: int) -> None:
    """No violation in any."""
    _, wrong = run(stage, range(100_000 + 2_500 * chunk, 100_000 + 2_500 * (chunk + 1)))
    assert wrong == []
