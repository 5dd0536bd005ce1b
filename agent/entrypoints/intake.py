"""What comes in over HTTP: usage that gateways push, the rules that the guard fetches, and what it reports.

Every route wants a bearer token. Whatever is sent is answered: 401 without the token, 400 with a plain reason for
what cannot be read, 503 while the database is busy, so that the sender keeps it and sends again.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from agent.bursar import Bursar
from agent.entrypoints.bodies import Unusable, json_value, read_body, unpacked
from agent.entrypoints.tokens import is_known
from agent.guard import guard_publisher, take_report
from agent.steps.collect import take_in
from store.errors import BadInput, BursarError
from store.ledger.guard_values import Place, ProxyReport
from store.model.usage import Intake
from tools.actuators.guard_rules import SignedRules
from tools.sources.litellm import LiteLLMSource

_MOST_SENT = 16 * 2**20
_MOST_UNPACKED = 64 * 2**20
_MOST_REPORT = 2**20
_RETRY_SECONDS = "5"


@dataclass(frozen=True)
class GuardDesk:
    """What the guard's routes need: its token, the rules in force, and where a report goes, which gets a place back."""

    token: str
    signed: Callable[[], SignedRules]
    report: Callable[[ProxyReport], Place]


def build_intake(
    *, tokens: Iterable[str], take: Callable[[list[object]], Intake], guard: GuardDesk | None
) -> APIRouter:
    """The routes POST /v1/usage and, with a guard, GET /guard/v1/rules and POST /guard/v1/report.

    `tokens` open the usage route, the guard's own among them; `take` keeps the records of one body.
    """
    router = APIRouter()
    accepted = tuple(tokens)

    @router.post("/v1/usage")
    async def usage(request: Request) -> Response:
        return await _guarded(request, accepted, lambda: _usage(request, take))

    if guard is not None:
        desk = guard

        @router.get("/guard/v1/rules")
        async def rules(request: Request) -> Response:
            return await _guarded(request, (desk.token,), lambda: _rules(request, desk))

        @router.post("/guard/v1/report")
        async def report(request: Request) -> Response:
            return await _guarded(request, (desk.token,), lambda: _report(request, desk))

    return router


def intake_of(bursar: Bursar, *, counted: Callable[[Intake], None]) -> APIRouter | None:
    """The routes of an assembled service, by its configuration; None where no token opens any of them.

    `counted` hears what became of the records of each body.

    Raises:
        BadInput: the guard's key file cannot be used.
    """
    settings = bursar.settings
    secrets = [settings.intake.token, settings.guard.token if settings.guard else None]
    tokens = [secret.get_secret_value() for secret in secrets if secret is not None]
    if not tokens:
        return None
    source = LiteLLMSource(name=settings.intake.source, clock=bursar.clock)

    def take(rows: list[object]) -> Intake:
        intake = take_in(
            rows=source.parse(rows),
            warehouse=bursar.warehouse,
            prices=bursar.prices,
            amendment=settings.amendment,
        )
        counted(intake)
        return intake

    publisher = guard_publisher(settings, ledger=bursar.ledger)
    guard = None
    if publisher is not None and settings.guard is not None:
        token = settings.guard.token.get_secret_value()
        poll = settings.guard.poll_seconds
        report = partial(take_report, ledger=bursar.ledger, poll_seconds=poll, clock=bursar.clock)
        guard = GuardDesk(token, publisher.signed, report)
    return build_intake(tokens=tokens, take=take, guard=guard)


async def _usage(request: Request, take: Callable[[list[object]], Intake]) -> Response:
    body = await read_body(request, most=_MOST_SENT)
    encoding = request.headers.get("content-encoding", "").strip().lower()

    def work() -> Intake:
        return take(_records(json_value(unpacked(body, encoding, most=_MOST_UNPACKED))))

    intake = await run_in_threadpool(work)
    return JSONResponse(intake.model_dump())


def _records(value: object) -> list[object]:
    """The elements of an array, of {"records": [...]}, or the one payload that LiteLLM's `single` format sends."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        records = value.get("records")
        if isinstance(records, list):
            return records
        if "id" in value and "records" not in value:
            return [value]
    raise Unusable('expected a JSON array of records, or {"records": [...]}')


async def _rules(request: Request, desk: GuardDesk) -> Response:
    signed = await run_in_threadpool(desk.signed)
    headers = {"etag": f'"{signed.etag}"', "cache-control": "no-store"}
    known = {tag.strip().removeprefix("W/").strip('"') for tag in request.headers.get("if-none-match", "").split(",")}
    if signed.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(signed.body, media_type="application/json", headers=headers)


async def _report(request: Request, desk: GuardDesk) -> Response:
    body = await read_body(request, most=_MOST_REPORT)
    try:
        found = ProxyReport.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Unusable(f"{'.'.join(map(str, first['loc'])) or 'the report'}: {first['msg']}") from None
    place = await run_in_threadpool(desk.report, found)
    return JSONResponse(place.model_dump())


async def _guarded(request: Request, tokens: Iterable[str], answer: Callable[[], Awaitable[Response]]) -> Response:
    """Answer who shows a token; every failure becomes a plain answer."""
    if not is_known(request.headers.get("authorization", ""), tokens):
        headers = {"www-authenticate": "Bearer"}
        return _error(401, "unauthorized", "send `Authorization: Bearer TOKEN` with this installation's token", headers)
    try:
        return await answer()
    except Unusable as error:
        return _error(error.status, "invalid_request", str(error))
    except BadInput as error:
        return _error(400, "invalid_request", str(error))
    except BursarError as error:
        return _error(503, "unavailable", f"nothing was kept, send it again: {error}", {"retry-after": _RETRY_SECONDS})
    except ClientDisconnect:
        return _error(400, "invalid_request", "the body was cut off")


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"type": kind, "message": message}}, status_code=status, headers=headers)
