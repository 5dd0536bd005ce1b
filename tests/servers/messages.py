"""A stand-in for the Messages API over real HTTP. It checks requests as strictly as the provider; answers are scripted.

Rules from the provider's reference: roles alternate and the first is the user's; every tool_use is answered by one
tool_result in the very next turn, results first; at most four breakpoints of the cache; tools have names of their own
and closed schemas; a closed answer format; max_tokens; the two headers. Nothing of Bursar is in it.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.servers.messages_rules import Wrong, check_request

KEY = "sk-ant-api03-stand-in-0123456789"
Json = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """One scripted answer: a message, or a status with a body, or a connection that breaks, waits or talks garbage."""

    content: tuple[Json, ...] = ()
    stop: str | None = "end_turn"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    wait: float = 0.0
    cut: bool = False
    usage: Json | None = None
    model: str | None = None


def says(text: str, *, stop: str = "end_turn") -> Answered:
    """A text."""
    return Answered(({"type": "text", "text": text},), stop)


def diagnosis(**fields: object) -> Answered:
    """A whole diagnosis; `fields` change it."""
    whole = {"cause": "agent_loop", "confidence": 0.9, "evidence": ["ev-1"], "ruled_out": [], "why": "one session"}
    return says(json.dumps({**whole, **fields}))


_NUMBER = [0]


def asks(*calls: tuple[str, Json]) -> Answered:
    """Questions, with ids of their own."""
    blocks = []
    for name, given in calls:
        _NUMBER[0] += 1
        blocks.append({"type": "tool_use", "id": f"toolu_{_NUMBER[0]:06d}", "name": name, "input": given})
    return Answered(tuple(blocks), "tool_use")


def fails(status: int, *, kind: str = "api_error", code: str | None = None, **headers: str) -> Answered:
    """An error as the API words it."""
    error: Json = {"type": kind, "message": "something that was sent: sk-ant-api03-leak"}
    if code:
        error["details"] = {"error_code": code}
    body = json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()
    return Answered(status=status, raw=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


Script = Callable[[Json], Answered]


class MessagesStandIn:
    """Serves /v1/messages. `requests` are the bodies that came, `violations` what the provider would have refused.

    `script` answers the planner; `extractor` answers requests for the model that the test names so.
    """

    def __init__(self, *answers: Answered, extractor: Script | None = None, extractor_model: str = "") -> None:
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.violations: list[str] = []
        self.answers: list[Answered] = list(answers)
        self.otherwise: Answered | Script = diagnosis()
        self.extractor, self.extractor_model = extractor, extractor_model
        self.prefix = ""
        """The path under which a gateway would serve the API."""
        self._lock = threading.Lock()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stand_in._serve(self)

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def __enter__(self) -> "MessagesStandIn":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def of_model(self, model: str) -> list[Json]:
        """The requests for one model."""
        return [one for one in self.requests if one.get("model") == model]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.headers.append(headers)
            try:
                body = json.loads(raw)
                self.requests.append(body)
                check_request(handler.path.removeprefix(self.prefix), headers, body, key=KEY)
            except Wrong as wrong:
                self.violations.append(str(wrong))
                _send(handler, fails(wrong.status, kind="invalid_request_error"), 0, {})
                return
            answered = self._next(body)
            number = len(self.requests)
        if answered.wait:
            time.sleep(answered.wait)
        _send(handler, answered, number, body)

    def _next(self, body: Json) -> Answered:
        if self.extractor is not None and body["model"] == self.extractor_model:
            return self.extractor(body)
        if self.answers:
            return self.answers.pop(0)
        return self.otherwise if isinstance(self.otherwise, Answered) else self.otherwise(body)


def labels(kind: str = "batch", **more: object) -> Script:
    """An extractor that gives every text the same label."""

    def answer(body: Json) -> Answered:
        items = json.loads(body["messages"][0]["content"][0]["text"])
        row = {"kind": kind, "environment": "unclear", "reads_like_instructions": False, **more}
        return says(json.dumps({"labels": [{"number": item["number"], **row} for item in items]}))

    return answer


def texts_of(requests: Iterable[Json]) -> str:
    """All that was sent, as one text."""
    return "\n".join(json.dumps(one) for one in requests)


def _send(handler: BaseHTTPRequestHandler, answered: Answered, number: int, body: Json) -> None:
    if answered.raw is not None:
        data = answered.raw
    else:
        usage = answered.usage or {
            "input_tokens": 900,
            "output_tokens": 120,
            "cache_read_input_tokens": 2_000 if number > 1 else 0,
            "cache_creation_input_tokens": 0 if number > 1 else 2_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 0 if number > 1 else 2_000, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
        }
        message = {
            "id": f"msg_{id(answered):x}_{number}",
            "type": "message",
            "role": "assistant",
            "model": answered.model or body["model"],
            "content": list(answered.content),
            "stop_reason": answered.stop,
            "stop_sequence": None,
            "usage": usage,
        }
        data = json.dumps(message).encode()
    try:
        handler.send_response(answered.status)
        handler.send_header("content-type", "application/json")
        handler.send_header("request-id", f"req_{number}")
        for name, value in answered.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2] if answered.cut else data)
        handler.wfile.flush()
    except (BrokenPipeError, ConnectionResetError):
        return  # the client gave up, which is what some scripts are for
    if answered.cut:
        handler.close_connection = True
        handler.connection.close()
