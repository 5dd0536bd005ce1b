"""A provider's Admin API that answers with the published shapes: hourly usage, daily costs, pages, limits, faults."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.servers.serving import serving

Json = dict[str, Any]
_WIDTHS = {"1m": 60, "1h": 3_600, "1d": 86_400}
ANTHROPIC_KEY, OPENAI_KEY = "sk-ant-admin-stand-in", "sk-admin-stand-in"


@dataclass
class Fault:
    """One answer instead of the page."""

    status: int
    retry_after: str | None = None
    body: str = "{}"


@dataclass
class AdminStandIn:
    """Answers both providers' reports. `page_buckets` cuts pages short, as a provider may; `faults` come first.

    `after`: faults by how many questions were answered before; `empty`: buckets have no results.
    """

    page_buckets: int = 10
    output_tokens: int = 7
    faults: list[Fault] = field(default_factory=list)
    after: dict[int, Fault] = field(default_factory=dict)
    empty: bool = False
    queries: list[tuple[str, Json]] = field(default_factory=list)
    lost_pages: set[str] = field(default_factory=set)

    def answer(self, request: Request) -> Response:
        """What the provider would say."""
        query = request.query_params
        asked: Json = {name: query.getlist(name) if name.endswith("[]") else query[name] for name in query}
        self.queries.append((request.url.path, asked))
        late = self.after.pop(len(self.queries) - 1, None)
        if late or self.faults:
            fault = late or self.faults.pop(0)
            headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
            return Response(fault.body, fault.status, headers)
        anthropic = request.url.path.startswith("/v1/organizations")
        key = request.headers.get("x-api-key" if anthropic else "authorization", "").removeprefix("Bearer ")
        if key != (ANTHROPIC_KEY if anthropic else OPENAI_KEY):
            return JSONResponse({"error": {"message": "Admin key required"}}, 401)
        if query.get("page") in self.lost_pages:
            return JSONResponse({"error": {"message": "invalid page"}}, 400)
        if anthropic:
            assert request.headers["anthropic-version"] == "2023-06-01"
        return JSONResponse(self._page(request.url.path, asked, anthropic))

    def _page(self, path: str, asked: Json, anthropic: bool) -> Json:
        width = _WIDTHS[asked["bucket_width"]]
        names = ("starting_at", "ending_at") if anthropic else ("start_time", "end_time")
        start, end = (_seconds(asked[name]) for name in names)
        assert start % width == 0
        first = int(asked.get("page", f"page_{start}").removeprefix("page_"))
        last = min(end, first + width * min(self.page_buckets, int(asked["limit"])))
        buckets = [self._bucket(path, at, width, asked["group_by[]"]) for at in range(first, last, width)]
        more = last < end
        return {"object": "page", "data": buckets, "has_more": more, "next_page": f"page_{last}" if more else None}

    def _bucket(self, path: str, at: int, width: int, groups: list[str]) -> Json:
        if path.startswith("/v1/organizations"):
            result = self._cost() if path.endswith("cost_report") else self._messages()
            times: Json = {"starting_at": _iso(at), "ending_at": _iso(at + width)}
        else:
            result = self._costs() if path.endswith("costs") else self._completions(path)
            times = {"object": "bucket", "start_time": at, "end_time": at + width}
        if "description" in groups:
            groups = [*groups, "model"]  # the description's parts come with it
        # A dimension that was not asked for is null.
        known = {name: value if name not in _GROUPABLE or name in groups else None for name, value in result.items()}
        return {**times, "results": [] if self.empty else [known]}

    def _messages(self) -> Json:
        return {
            "api_key_id": "apikey_1",
            "workspace_id": "wrkspc_1",
            "model": "claude-opus-4-5",
            "service_tier": "batch",
            "context_window": "0-200k",
            "uncached_input_tokens": 1_500,
            "cache_creation": {"ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 500},
            "cache_read_input_tokens": 200,
            "output_tokens": self.output_tokens,
            "server_tool_use": {"web_search_requests": 10},
        }

    @staticmethod
    def _cost() -> Json:
        tokens = {"cost_type": "tokens", "token_type": "uncached_input_tokens", "model": "claude-opus-4-5"}
        more = {"workspace_id": "wrkspc_1", "description": "Claude Opus 4.5 Usage - Input Tokens"}
        return {"currency": "USD", "amount": "123.45678", **tokens, **more}

    def _completions(self, path: str) -> Json:
        kind = path.rpartition("/")[2]
        found: Json = {
            "object": f"organization.usage.{kind}.result",
            "input_tokens": 1_000,
            "num_model_requests": 5,
            "project_id": "proj_1",
            "user_id": "user_1",
            "api_key_id": "key_1",
            "model": "gpt-4o-mini-2024-07-18" if kind == "completions" else "text-embedding-3-small",
        }
        if kind == "embeddings":
            return found
        more = {"output_tokens": self.output_tokens, "input_cached_tokens": 300, "input_audio_tokens": 0}
        return {**found, **more, "input_cache_write_tokens": 100, "batch": True, "service_tier": "default"}

    @staticmethod
    def _costs() -> Json:
        amount = {"value": 0.06, "currency": "usd"}
        item = "gpt-4o-mini-2024-07-18, input"
        return {"object": "organization.costs.result", "amount": amount, "line_item": item, "project_id": "proj_1"}


_GROUPABLE = {"api_key_id", "workspace_id", "model", "service_tier", "context_window", "project_id", "user_id", "batch"}
_GROUPABLE |= {"description", "line_item"}


@contextmanager
def admin_api(stand_in: AdminStandIn) -> Iterator[str]:
    """Its base URL while it is served."""
    api = FastAPI()
    api.get("/{path:path}")(stand_in.answer)
    with serving(api) as url:
        yield url


def _seconds(text: str) -> int:
    return int(text) if text.isdigit() else int(datetime.fromisoformat(text).timestamp())


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
