"""A stand-in for a LiteLLM proxy's read endpoints, in the shapes that LiteLLM 1.106 was seen to answer with.

`offers` says which of v2, logs, days and totals it has; the others answer as that LiteLLM does without them.
"""

import json
import threading
from collections import defaultdict
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]
KEY = "sk-reader"


class LiteLLMAdmin:
    """Answers from `calls`, rows as /spend/logs has them, newest last.

    `cap`: to how many the proxy counts. `most_page`: the largest page that it gives. `asked` holds (method, path).
    """

    def __init__(
        self,
        calls: list[Json],
        *,
        offers: frozenset[str] = frozenset({"v2", "logs", "days", "totals"}),
        cap: int = 10_000,
        most_page: int = 1_000,
    ) -> None:
        self.calls = sorted(calls, key=lambda row: str(row["startTime"]))
        self.asked: list[tuple[str, str]] = []
        self._offers, self._cap, self._most_page = offers, cap, most_page
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, path: str, query: Json, key: str | None) -> tuple[int, object]:
        """Status and body of a GET."""
        if key != f"Bearer {KEY}":
            return 401, {"error": {"message": "Authentication Error, Invalid proxy server token passed."}}
        match path:
            case "/spend/logs/v2" if "v2" in self._offers:
                return self._v2(query)
            case "/spend/logs" if "logs" in self._offers:
                rows = [r for r in self.calls if query["start_date"] <= r["startTime"][:10] < query["end_date"]]
                return 200, rows[::-1][: self._cap]
            case "/user/daily/activity" if "days" in self._offers:
                return self._activity(query)
            case "/team/list":
                return 200, [{"team_id": "t-search", "team_alias": "search"}]
            case "/global/spend/logs" if "totals" in self._offers:
                days: dict[str, float] = defaultdict(float)
                for row in self.calls:
                    days[row["startTime"][:10]] += row["spend"]
                return 200, [{"date": day, "spend": spend} for day, spend in sorted(days.items())]
            case _:
                return 500, {"error": {"message": "Database not connected.", "type": "internal_error"}}

    def _v2(self, query: Json) -> tuple[int, object]:
        page, size = int(query["page"]), int(query["page_size"])
        if size > self._most_page:
            return 422, {"detail": [{"type": "less_than_equal", "loc": ["query", "page_size"], "msg": "too many"}]}
        start, end = (_iso(query[name]) for name in ("start_date", "end_date"))
        rows = [row for row in self.calls[::-1] if start <= row["startTime"] <= end]
        total = min(len(rows), self._cap)
        first = (page - 1) * size
        return 200, {
            "data": rows[first : min(first + size, total)],
            "total": total,
            "page": page,
            "page_size": size,
            "total_pages": -(-total // size),
            "total_is_capped": len(rows) > self._cap,
        }

    def _activity(self, query: Json) -> tuple[int, object]:
        """Two pages, cut in the middle of the rows, so that a day's parts come apart as they do in LiteLLM."""
        rows = [r for r in self.calls if query["start_date"] <= r["startTime"][:10] <= query["end_date"]]
        page, middle = int(query["page"]), len(rows) // 2
        part = rows[:middle] if page == 1 else rows[middle:]
        days: dict[str, dict[str, dict[str, Json]]] = defaultdict(lambda: defaultdict(dict))
        for row in part:
            keys = days[row["startTime"][:10]][row["model"]]
            one = keys.setdefault(row["api_key"], {"metrics": _zero(), "metadata": _key_metadata(row)})
            _add(one["metrics"], row)
        results = [
            {"date": day, "metrics": {}, "breakdown": {"models": {m: _model(keys) for m, keys in models.items()}}}
            for day, models in sorted(days.items())
        ]
        return 200, {"results": results, "metadata": {"page": page, "total_pages": 2, "has_more": page < 2}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        admin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                admin.asked.append((self.command, parts.path))
                status, found = admin.answer(parts.path, dict(parse_qsl(parts.query)), self.headers["authorization"])
                content = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def spend_row(number: int, at: datetime, *, spend: float = 0.01, output: int = 100, **more: object) -> Json:
    """One row of /spend/logs."""
    return {
        "request_id": f"chatcmpl-{number}",
        "call_type": "acompletion",
        "api_key": "hash-1",
        "spend": spend,
        "total_tokens": 1_000 + output,
        "prompt_tokens": 1_000,
        "completion_tokens": output,
        "startTime": _text(at),
        "endTime": _text(at),
        "model": "anthropic/claude-opus-4-5",
        "model_group": "claude-big",
        "custom_llm_provider": "anthropic",
        "metadata": {
            "user_api_key": "hash-1",
            "user_api_key_alias": "indexer",
            "user_api_key_team_id": "t-search",
            "user_api_key_team_alias": "search",
            "usage_object": {"cache_read_input_tokens": 0},
        },
        "request_tags": ["app:indexer", "User-Agent: python"],
        "team_id": "t-search",
        "end_user": "u-1",
        "session_id": f"trace-{number}",
        "status": "success",
        **more,
    }


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _iso(text: str) -> str:
    return text.replace(" ", "T") + ".000Z"


def _key_metadata(row: Json) -> Json:
    return {
        "key_alias": row["metadata"]["user_api_key_alias"],
        "team_id": row["team_id"],
        "user_id": None,
        "key_exists": True,
    }


def _zero() -> Json:
    return {
        "spend": 0.0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "successful_requests": 0,
        "failed_requests": 0,
        "api_requests": 0,
    }


def _add(metrics: Json, row: Json) -> None:
    metrics["spend"] += row["spend"]
    metrics["prompt_tokens"] += row["prompt_tokens"]
    metrics["completion_tokens"] += row["completion_tokens"]
    metrics["api_requests"] += 1
    metrics["successful_requests" if row["status"] == "success" else "failed_requests"] += 1


def _model(keys: dict[str, Json]) -> Json:
    whole = _zero()
    for one in keys.values():
        whole = {name: value + one["metrics"][name] for name, value in whole.items()}
    return {"metrics": whole, "metadata": {}, "api_key_breakdown": keys}
