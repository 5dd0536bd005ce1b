"""Both ends of the wire: the shared checks with the real guard plugin at the other end, without a LiteLLM around it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.model.remedy import SetRateLimit
from store.model.usage import NONE, Intake, UsageRecord
from tests.checks.check_actuator import MINE, TARGET, CheckActuator, Rig
from tests.servers.guard_proxy import GuardProxy, Json
from tests.simulation.hand_clock import START, HandClock
from tests.tools.actuators.rig import Installation, installation
from tools.guard.bursar_guard import Config, Courier, Guard, Models
from tools.sources.litellm import LiteLLMSource

CEILING = """
kinds: [set_model_alias, set_rate_limit, set_session_cap, set_output_cap, set_context_cap, set_reasoning_effort,
        set_service_tier, set_prompt_cache, block_key]
swap_to: [small]
"""


class Roomy(Models):
    """Every model is served and can do everything."""

    def served(self, name: str) -> bool | None:  # noqa: ARG002 # the class names it
        return True

    def info(self, name: str) -> dict[str, Any] | None:  # noqa: ARG002 # the class names it
        return {"max_input_tokens": 10**6, "max_output_tokens": 10**6}


class RealGuard(GuardProxy):
    """The plugin's own code behind the same socket."""

    def __init__(self, *, folder: Path, clock: HandClock, **given: Any) -> None:
        super().__init__(clock=clock, **given)
        ceiling = folder / "ceiling.yaml"
        ceiling.write_text(CEILING)
        env = {
            "BURSAR_URL": given["bursar_url"],
            "BURSAR_GUARD_TOKEN": given["token"],
            "BURSAR_GUARD_PUBLIC_KEY": given["public_key"],
            "BURSAR_GUARD_CEILING": str(ceiling),
            "BURSAR_GUARD_DIR": str(folder / "guard"),
        }

        def seconds() -> float:
            return clock().timestamp()

        self.guard = Guard(Config.from_environment(env), clock=seconds, models=Roomy(seconds))
        self.courier = Courier(self.guard)
        self.courier._proxy_id = "real-1"  # given by start(), whose thread would poll behind the test's back

    def poll(self) -> int:
        self.courier.poll(self._client)
        return 0

    def answer(self, body: Json, sealed: str | None) -> tuple[int, Json]:
        data = {**body, "proxy_server_request": {"headers": {"x-bursar-probe": sealed} if sealed else {}}}
        stop = self.guard.before(None, data, "acompletion")
        assert stop is not None
        return stop.status, {"error": {"type": stop.type, "message": stop.message}}


@pytest.fixture
def taken() -> list[object]:
    return []


@pytest.fixture
def here(tmp_path: Path, taken: list[object]) -> Iterator[Installation]:
    def take(rows: list[object]) -> Intake:
        taken.extend(rows)
        return Intake(accepted=len(rows))

    def make(**given: Any) -> RealGuard:
        return RealGuard(folder=tmp_path, **given)

    with installation(tmp_path, make_proxy=make, take=take) as found:
        yield found


class TestSharedChecks(CheckActuator):
    """What every actuator must do, with the real guard."""

    @pytest.fixture
    def rig(self, here: Installation) -> Rig:
        """The guard with its own plugin."""
        return here.rig()


def test_what_the_guard_posts_is_what_the_source_reads(here: Installation, taken: list[object]) -> None:
    """A call that it let through and one that it refused, from LiteLLM's payload to a record."""
    real = here.proxy
    assert isinstance(real, RealGuard)
    here.rig().set(SetRateLimit(target=TARGET, requests_per_minute=1))
    here.clock.move(0)
    for name in ("c1", "c2"):
        stop = real.guard.before(_User(), _body(name), "acompletion")
        assert (stop is None) == (name == "c1")
        real.guard.after(_logged(name))
    real.courier.send_usage(real._client)
    one, two = LiteLLMSource(name="litellm", clock=lambda: START).parse(taken)
    assert isinstance(one, UsageRecord)
    assert isinstance(two, UsageRecord)
    assert (one.record_id, one.status, one.output, one.remedy_id) == ("c1", "ok", 3, NONE)
    assert (two.record_id, two.status, two.output, two.remedy_id) == ("c2", "refused", 0, MINE)
    for record in (one, two):
        assert (record.team, record.app, record.requested_model) == ("search", "indexer", "big")
    assert one.prompt_hash != NONE


class _User:
    """What LiteLLM knows of a key."""

    def __init__(self) -> None:
        self.team_alias = "search"
        self.metadata = {"app": "indexer"}


def _body(name: str) -> Json:
    messages = [{"role": "user", "content": "hello"}]
    return {"model": "big", "messages": messages, "metadata": {}, "litellm_call_id": name}


def _logged(name: str) -> Json:
    tokens = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    status = "success" if name == "c1" else "failure"
    at = START.timestamp()
    call = {"id": name, "litellm_call_id": name, "status": status, "model": "big", "metadata": {}}
    return {**call, **tokens, "startTime": at - 1, "endTime": at}
