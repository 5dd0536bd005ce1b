"""Usage and the guard's routes over real HTTP: tokens, counts, garbage; never a 500, nothing lost."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.entrypoints.intake import build_intake, intake_of
from agent.settings import IntakeSettings, Settings
from agent.steps.collect import collect
from store.errors import Busy
from store.model.usage import Intake, Window
from tests.servers.serving import serving
from tests.simulation.hand_clock import START, HandClock
from tools.actuators.settings import GuardSettings
from tools.sources.litellm import LiteLLMSource

GUARD_TOKEN, INTAKE_TOKEN = "the-guards-own-token", "the-callbacks-own-token"
EVER = Window(start=datetime(2020, 1, 1, tzinfo=UTC), end=START + timedelta(days=1))
Json = dict[str, Any]


class Here(NamedTuple):
    """A served Bursar."""

    url: str
    bursar: Bursar
    seen: list[Intake]
    client: httpx.Client

    def push(self, body: object, *, token: str = INTAKE_TOKEN, packed: bool = False) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}"}
        if packed:
            content, headers["content-encoding"] = gzip.compress(content), "gzip"
        return self.client.post("/v1/usage", content=content, headers=headers)

    def ids(self) -> list[str]:
        return list(self.bursar.warehouse.records(EVER).column("record_id").tolist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bursar")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    yield from _served(tmp_path)


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Here]:
    yield from _served(folder)


def _served(folder: Path) -> Iterator[Here]:
    clock = HandClock()
    wanted = Settings(
        data_dir=folder,
        guard=GuardSettings(token=SecretStr(GUARD_TOKEN)),
        intake=IntakeSettings(token=SecretStr(INTAKE_TOKEN)),
    )
    bursar = assemble(wanted, clock=clock, owner="test")
    seen: list[Intake] = []
    router = intake_of(bursar, counted=seen.append)
    assert router is not None
    api = FastAPI()
    api.include_router(router)
    with serving(api) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        yield Here(url, bursar, seen, client)
    bursar.close()


def call(name: str = "chatcmpl-1", **fields: object) -> Json:
    return {
        "id": name,
        "call_type": "acompletion",
        "custom_llm_provider": "anthropic",
        "model": "claude-opus-4-5",
        "model_group": "claude-big",
        "response_cost": 0.006,
        "prompt_tokens": 1_000,
        "completion_tokens": 40,
        "startTime": START.timestamp() - 60,
        "endTime": START.timestamp() - 58,
        "status": "success",
        "metadata": {"user_api_key_team_alias": "search"},
        **fields,
    }


def test_pushed_calls_are_priced_and_kept(here: Here) -> None:
    """An array, {"records": []}, one payload, gzip or not; the counts say what became of each row."""
    assert here.push([call("a"), call("b")]).json() == Intake(accepted=2).model_dump()
    assert (
        here.push({"records": [call("b"), call("c"), 7]}).json()
        == Intake(accepted=1, duplicate=1, quarantined=1).model_dump()
    )
    assert here.push([call("d")], packed=True, token=GUARD_TOKEN).status_code == 200
    assert here.push(call("e")).json()["accepted"] == 1
    assert here.push([]).json() == Intake().model_dump()
    assert sorted(here.ids()) == ["a", "b", "c", "d", "e"]
    found = here.bursar.warehouse.records(EVER)
    assert set(found.column("cost_nanos").tolist()) == {6_000_000}
    assert set(found.column("team").tolist()) == {"search"}
    assert sum((intake.total for intake in here.seen), 0) == 7


def test_a_refused_call_counts_as_refused_without_tokens(here: Here) -> None:
    """The guard's record of a call that it stopped: no tokens, no cost, and the remedy that did it."""
    stopped = call(
        "r",
        status="failure",
        metadata={"bursar": {"dims": {"team": "ads", "app": "bot"}, "status": "refused", "remedy_id": "rem-1"}},
    )
    assert here.push([stopped]).json()["accepted"] == 1
    found = here.bursar.warehouse.records(EVER)
    got = {name: found.column(name).tolist()[0] for name in ("status", "remedy_id", "team", "app", "input_uncached")}
    assert got == {"status": "refused", "remedy_id": "rem-1", "team": "ads", "app": "bot", "input_uncached": 0}
    assert here.bursar.warehouse.roll_up() is not None
    cube = here.bursar.warehouse.cube(EVER, bucket_seconds=3600, dims=("team",))
    assert (cube.total("refused"), cube.total("cost_nanos")) == (1, 0)


@pytest.mark.parametrize("pushed_first", [True, False])
def test_by_file_and_by_push_a_call_counts_once(here: Here, tmp_path: Path, pushed_first: bool) -> None:
    """Whichever door was faster."""
    path = tmp_path / "usage.jsonl"
    path.write_text("".join(json.dumps(call(name)) + "\n" for name in ("a", "b")))

    def read() -> Intake:
        source = LiteLLMSource(name="litellm", clock=here.bursar.clock)
        return collect(source=source, paths=[path], warehouse=here.bursar.warehouse, prices=here.bursar.prices)

    def push() -> Intake:
        return Intake.model_validate(here.push([call("a"), call("b")]).json())

    doors = (push, read) if pushed_first else (read, push)
    assert [door() for door in doors] == [Intake(accepted=2), Intake(duplicate=2)]
    assert sorted(here.ids()) == ["a", "b"]


def test_the_guard_and_litellms_own_callback_make_one_call(here: Here) -> None:
    """Both post the same id; the contents differ by what the guard adds, and one of them wins."""
    assert here.push([call("a")]).json()["accepted"] == 1
    richer = call("a", metadata={"user_api_key_team_alias": "search", "bursar": {"dims": {"app": "bot"}}})
    assert here.push([richer], token=GUARD_TOKEN).json() == Intake(superseded=1).model_dump()
    assert here.ids() == ["a"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", f"Basic {INTAKE_TOKEN}", f"Bearer {INTAKE_TOKEN}x", "Bearer \xe9"],
)
def test_without_the_token_nothing_is_taken(here: Here, authorization: str | None) -> None:
    """401, whatever the body; every route."""
    headers = {} if authorization is None else {b"authorization": authorization.encode("latin-1")}
    with httpx.Client(base_url=here.url, headers=headers, trust_env=False, verify=False) as client:
        answers = [
            client.post("/v1/usage", content=json.dumps([call()])),
            client.post("/v1/usage", content=b"\xff"),
            client.get("/guard/v1/rules"),
            client.post("/guard/v1/report", content=b"{}"),
        ]
    assert {answer.status_code for answer in answers} == {401}
    assert here.ids() == []


def test_the_callbacks_token_opens_nothing_of_the_guard(here: Here) -> None:
    """Who may push usage may not read the rules, nor speak for a proxy."""
    headers = {"authorization": f"Bearer {INTAKE_TOKEN}"}
    assert here.client.get("/guard/v1/rules", headers=headers).status_code == 401
    assert here.client.post("/guard/v1/report", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "encoding", "status", "says"),
    [
        (b"", "", 400, "not JSON"),
        (b"{", "", 400, "not JSON"),
        (b"\xff\xfe\x00", "", 400, "not JSON"),
        (b'[{"id": "\xff"}]', "", 400, "not JSON"),
        (b"7", "", 400, "expected a JSON array"),
        (b'{"records": 7}', "", 400, "expected a JSON array"),
        (b"[" * 100_000, "", 400, "not JSON"),
        (b"[" + b"9" * 10_000 + b"]", "", None, ""),
        (b"not gzip", "gzip", 400, "not gzip"),
        (gzip.compress(b"[]", mtime=0)[:-3], "gzip", 400, "cut off"),
        (gzip.compress(b"[]", mtime=0) + b"more", "gzip", 400, "follows it"),
        (gzip.compress(b" " * (65 * 2**20), mtime=0), "gzip", 413, "unpacked"),
        (b" " * (17 * 2**20), "", 413, "larger"),
        (b"[]", "br", 415, "gzip"),
    ],
)
def test_garbage_gets_a_plain_reason(shared: Here, body: bytes, encoding: str, status: int | None, says: str) -> None:
    """400, 413 or 415 and a sentence; a number beyond any size is either."""
    headers = {"authorization": f"Bearer {INTAKE_TOKEN}", "content-encoding": encoding}
    answer = shared.client.post("/v1/usage", content=body, headers=headers)
    assert answer.status_code == status if status else answer.status_code in (200, 400)
    assert says in answer.text


def test_while_the_store_is_busy_the_sender_keeps_the_records() -> None:
    """503 with Retry-After; nothing is half-kept."""

    def busy(_: list[object]) -> Intake:
        raise Busy("another process holds the warehouse")

    api = FastAPI()
    api.include_router(build_intake(tokens=[INTAKE_TOKEN], take=busy, guard=None))
    with serving(api) as url:
        headers = {"authorization": f"Bearer {INTAKE_TOKEN}"}
        answer = httpx.post(f"{url}/v1/usage", json=[], headers=headers, trust_env=False, verify=False)
        assert httpx.get(f"{url}/guard/v1/rules", headers=headers, trust_env=False, verify=False).status_code == 404
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "send it again" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"proxy_id": ""}', b'{"proxy_id": 7}', b"\xff", b'{"proxy_id":"p","sequence":-1}']
)
def test_a_report_that_cannot_be_read_is_told_why(shared: Here, body: bytes) -> None:
    """400, and no proxy appears."""
    headers = {"authorization": f"Bearer {GUARD_TOKEN}"}
    answer = shared.client.post("/guard/v1/report", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request")
    assert shared.bursar.ledger.guard_proxies(since=EVER.start) == []


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
_FUZZ = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_FUZZ
@given(body=st.binary(max_size=200), packed=st.booleans())
def test_no_bytes_make_it_fail(shared: Here, body: bytes, packed: bool) -> None:
    """Raw bytes, also well packed ones: taken or refused, never a 500."""
    assert shared.push(body, packed=packed).status_code in (200, 400)


@_FUZZ
@given(field=st.sampled_from(sorted(call())), value=_JSON, rows=st.lists(_JSON, max_size=4))
def test_every_row_is_accounted_for(shared: Here, field: str, value: object, rows: list[object]) -> None:
    """In = accepted + duplicate + superseded + quarantined, whatever stands in a field."""
    answer = shared.push([*rows, {**call(), field: value}])
    assert answer.status_code == 200, answer.text
    assert sum(answer.json().values()) == len(rows) + 1


@_FUZZ
@given(guard=_JSON, dims=_JSON, tags=_JSON)
def test_whatever_the_metadata_holds(shared: Here, guard: object, dims: object, tags: object) -> None:
    """Deep places are as hostile as shallow ones."""
    hostile = {"bursar": {"dims": dims, "attempt": guard}, "spend_logs_metadata": guard, "usage_object": dims}
    answer = shared.push([call(metadata=hostile, request_tags=tags), call(metadata={"bursar": guard})])
    assert answer.status_code == 200, answer.text
    assert sum(answer.json().values()) == 2
