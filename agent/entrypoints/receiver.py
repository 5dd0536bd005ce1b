"""The OTLP/HTTP receiver: POST /v1/traces, /v1/logs and /v1/metrics, protobuf or JSON, gzip or not.

Source: OTLP specification, "OTLP/HTTP". Every answer is an export response or a Status in the encoding of the request.
A request waits a few seconds for the warehouse, then it is told to come again: what was kept meanwhile counts once.
Spans that cannot be right are quarantined and named in a partial success; spans of agents, tools and the steps between
are kept as traces, all else is taken and passed over. Metrics are answered and not taken: they repeat what spans say.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from agent.bursar import Bursar
from agent.entrypoints.bodies import Unusable, json_value, read_body, unpacked
from agent.entrypoints.keeper import Keeper, Rows
from agent.entrypoints.tokens import is_known
from agent.steps.collect import take_in
from store.errors import BursarError
from store.model.span import SourceRow
from store.model.usage import Intake, Quarantined
from tools.sources.documents import DocumentSource, Object
from tools.sources.otel import open_otlp
from tools.sources.otlp_wire import KEYS, Signal, Undecodable, answer, document_of, failure, points_of

_MOST_SENT = 16 * 2**20
_MOST_UNPACKED = 64 * 2**20
_MOST_AT_ONCE = 16
"""Requests whose bodies are held at one time; the next is told to come again before its body is read."""
_PATIENCE = 3.0
_RETRY_SECONDS = "5"
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_NO_METRICS = "metrics are not taken: they repeat what spans and events say; send traces and logs"


@dataclass(frozen=True)
class Receiver:
    """The routes, and what must be called once the server has stopped."""

    router: APIRouter
    close: Callable[[], None]


def receiver_of(bursar: Bursar, *, counted: Callable[[Intake], None]) -> Receiver | None:
    """The receiver that the configuration names; None where `intake.otlp` is not set.

    `counted` hears what became of the rows of each group of requests.
    """
    settings = bursar.settings.intake.otlp
    if settings is None:
        return None

    def keep(rows: list[SourceRow]) -> Intake:
        intake = take_in(
            rows=rows,
            warehouse=bursar.warehouse,
            prices=bursar.prices,
            role=settings.role,
            amendment=bursar.settings.amendment,
        )
        counted(intake)
        return intake

    def opened() -> DocumentSource:
        return open_otlp(name=settings.source, clock=bursar.clock, billing_mode=settings.billing_mode)

    keeper = Keeper(keep)
    return Receiver(build_receiver(token=settings.token.get_secret_value(), opened=opened, keeper=keeper), keeper.close)


def build_receiver(
    *, token: str, opened: Callable[[], DocumentSource], keeper: Keeper, patience: float = _PATIENCE
) -> APIRouter:
    """The three routes. `opened` gives a source for one request; `patience`: seconds that a request may wait."""
    router = APIRouter()
    desk = _Desk(token, opened, keeper, patience)

    @router.post("/v1/traces")
    async def traces(request: Request) -> Response:
        return await desk.receive(request, "traces")

    @router.post("/v1/logs")
    async def logs(request: Request) -> Response:
        return await desk.receive(request, "logs")

    @router.post("/v1/metrics")
    async def metrics(request: Request) -> Response:
        return await desk.receive(request, "metrics")

    return router


class _Desk:
    """Answers export requests; all of its state is how many it holds now."""

    def __init__(self, token: str, opened: Callable[[], DocumentSource], keeper: Keeper, patience: float) -> None:
        self._token = token
        self._opened = opened
        self._keeper = keeper
        self._patience = patience
        self._held = 0

    async def receive(self, request: Request, signal: Signal) -> Response:
        """One export request; every failure becomes a Status."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        as_json = media == _JSON
        if not is_known(request.headers.get("authorization", ""), (self._token,)):
            says = "send the header `Authorization: Bearer TOKEN` with this installation's OTLP token"
            return _failed(401, says, as_json=as_json)
        if media not in (_PROTOBUF, _JSON):
            return _failed(415, f"Content-Type is {_PROTOBUF} or {_JSON}, not {media[:80]!r}", as_json=as_json)
        if self._held >= _MOST_AT_ONCE:
            return _failed(503, "too many requests at once; send it again in a few seconds", as_json=as_json)
        self._held += 1
        try:
            return await self._take(request, signal, as_json=as_json)
        except Unusable as error:
            return _failed(error.status, str(error), as_json=as_json)
        except Undecodable as error:
            return _failed(400, str(error), as_json=as_json)
        except ClientDisconnect:
            return _failed(400, "the body was cut off", as_json=as_json)
        except TimeoutError:
            return _failed(503, "the warehouse is busy; send it again in a few seconds", as_json=as_json)
        except BursarError as error:
            return _failed(503, f"nothing was kept, send it again: {error}", as_json=as_json)
        finally:
            self._held -= 1

    async def _take(self, request: Request, signal: Signal, *, as_json: bool) -> Response:
        body = await read_body(request, most=_MOST_SENT)
        encoding = request.headers.get("content-encoding", "").strip().lower()

        def work() -> tuple[Rows, int]:
            plain = unpacked(body, encoding, most=_MOST_UNPACKED)
            document = _json_document(signal, plain) if as_json else document_of(signal, plain)
            if signal == "metrics":
                return [], points_of(document)
            return list(self._opened().parse([document])), 0

        rows, rejected = await run_in_threadpool(work)
        if rows:
            await asyncio.wait_for(asyncio.wrap_future(self._keeper.bring(rows)), self._patience)
        says = _NO_METRICS if rejected else "; ".join(_reasons(rows))
        rejected += sum(isinstance(row, Quarantined) for row in rows)
        content = answer(signal, rejected=rejected, says=says, as_json=as_json)
        return Response(content, media_type=_JSON if as_json else _PROTOBUF)


def _json_document(signal: Signal, body: bytes) -> Object:
    found = json_value(body)
    if not isinstance(found, dict):
        raise Unusable(f"expected an export request of {signal}: a JSON object with {KEYS[signal]}")
    # What other signals' keys hold was not sent here.
    return {KEYS[signal]: found.get(KEYS[signal]) or []}


def _reasons(rows: Rows) -> Iterator[str]:
    """Why rows were quarantined, each reason once, at most three."""
    reasons = dict.fromkeys(row.reason for row in rows if isinstance(row, Quarantined))
    yield from list(reasons)[:3]


def _failed(status: int, says: str, *, as_json: bool) -> Response:
    headers = {"retry-after": _RETRY_SECONDS} if status == 503 else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    media = _JSON if as_json else _PROTOBUF
    return Response(failure(says, as_json=as_json), status, headers, media_type=media)
