"""A proxy with the guard inside, and Bursar's side of the wire, once for each test process."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers.litellm import LiteLLM, OpenAIClient, Upstream, litellm_python, openai_client, upstream
from tests.tools.guard.control import CEILING, TOKEN, Control

__all__ = ["litellm_python", "openai_client", "upstream"]


class Rig(NamedTuple):
    """What a test of the real proxy needs; `off` is the local switch, a file that is not there."""

    proxy: LiteLLM
    control: Control
    upstream: Upstream
    openai: OpenAIClient
    off: Path


@pytest.fixture(scope="session")
def _rig(
    litellm_python: Path, upstream: Upstream, openai_client: OpenAIClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("litellm")
    control = Control()
    off = folder / "off"
    (folder / "ceiling.yaml").write_text(CEILING)
    env = {
        "BURSAR_URL": control.url,
        "BURSAR_GUARD_TOKEN": TOKEN,
        "BURSAR_GUARD_PUBLIC_KEY": control.public_key,
        "BURSAR_GUARD_DIR": str(folder / "rules"),
        "BURSAR_GUARD_CEILING": str(folder / "ceiling.yaml"),
        "BURSAR_GUARD_OFF": str(off),
        "BURSAR_GUARD_POLL_SECONDS": "0.1",
    }
    proxy = LiteLLM(
        litellm_python, folder, upstream=upstream, env=env, callbacks="bursar_guard.guard, stopwatch.stopwatch"
    )
    yield Rig(proxy, control, upstream, openai_client, off)
    proxy.stop()
    control.stop()


@pytest.fixture
def rig(_rig: Rig) -> Iterator[Rig]:
    """The shared proxy with no rules in force, as it was before the test and is after it."""
    _rig.off.unlink(missing_ok=True)
    _rig.control.return_to_normal()
    yield _rig
    _rig.off.unlink(missing_ok=True)
    _rig.control.return_to_normal()
