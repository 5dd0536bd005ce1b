"""The HTTP API of `bursar serve` on the loopback: alive, ready, and metrics for Prometheus."""

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from store.errors import BursarError
from store.model.ports import Clock
from store.model.usage import iso


class Metrics:
    """What Prometheus scrapes; one registry of its own, so that two services in one process do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ticks = Counter("bursar_ticks", "Ticks that ended, by outcome.", ["outcome"], registry=self.registry)
        self.last_tick = Gauge(
            "bursar_last_tick_timestamp_seconds", "When the last good tick ended.", registry=self.registry
        )
        self.records = Counter("bursar_usage_records", "Usage rows that came in.", ["outcome"], registry=self.registry)
        self.incidents = Gauge("bursar_open_incidents", "Incidents that are open.", registry=self.registry)
        self.excess = Gauge("bursar_open_excess_usd", "Excess spend of the open incidents.", registry=self.registry)
        self.remedies = Gauge("bursar_remedies", "Remedies by state.", ["state"], registry=self.registry)
        self.kill_switch = Gauge("bursar_kill_switch", "1 while the kill switch is on.", registry=self.registry)


def build_api(
    *,
    clock: Clock,
    ping: Callable[[], None],
    last_tick: Callable[[], datetime | None],
    refresh: Callable[[], None],
    metrics: Metrics,
    stale_after_seconds: int,
) -> FastAPI:
    """The application: GET /health (the process lives), /ready (stores answer and ticks happen), /metrics.

    `refresh` brings the gauges up to date before a scrape.
    """
    api = FastAPI(title="bursar", docs_url=None, redoc_url=None, openapi_url=None)

    @api.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "now": iso(clock())}

    @api.get("/ready")
    def ready() -> JSONResponse:
        try:
            ping()
        except BursarError as error:
            return JSONResponse({"status": "not ready", "why": str(error)}, status_code=503)
        last = last_tick()
        if last is None or (clock() - last).total_seconds() > stale_after_seconds:
            why = f"the last good tick was {iso(last)}" if last else "no tick has ended yet"
            return JSONResponse({"status": "not ready", "why": why}, status_code=503)
        return JSONResponse({"status": "ready", "last_tick": iso(last)})

    @api.get("/metrics")
    def scrape() -> Response:
        refresh()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return api
