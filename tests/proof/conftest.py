"""A scene for each proof; LiteLLM's environment, the model stub and the openai client once for each test process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proof.scene import Scene
from tests.servers.litellm import OpenAIClient, Upstream, litellm_python, openai_client, upstream
from tests.servers.slack import SlackStandIn

__all__ = ["litellm_python", "openai_client", "upstream"]

Play = Callable[..., Scene]


@pytest.fixture
def play(litellm_python: Path, upstream: Upstream, openai_client: OpenAIClient, tmp_path: Path) -> Iterator[Play]:
    """Sets the scene that a proof asks for, once."""
    scenes: list[Scene] = []
    with SlackStandIn() as slack:

        def start(*, mode: str, switch_seconds_ago: float | None = None) -> Scene:
            scene = Scene(
                litellm_python,
                tmp_path,
                upstream=upstream,
                openai=openai_client,
                slack=slack,
                mode=mode,
                switch_seconds_ago=switch_seconds_ago,
            )
            scenes.append(scene)
            return scene

        yield start
        for scene in scenes:
            scene.close()
        assert slack.violations == []
