"""An HTTP server on a free loopback port that a stand-in answers through; faults come before or after the effect."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

Json = dict[str, Any]


class Request(NamedTuple):
    """One request; `path` is unquoted part by part, so that an encoded slash stays inside its part."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: object
    headers: Mapping[str, str] = {}


class StandIn(Protocol):
    """A server's state and rules."""

    def answer(self, request: Request) -> Reply:
        """Carry a request out."""
        ...

    def refusal(self, request: Request) -> Reply:
        """What a caller without the permission is told."""
        ...

    def pretended(self, request: Request) -> Reply:
        """What success looks like, where nothing is done."""
        ...


class JsonServer:
    """Serves a stand-in. `read_faults` are taken by GETs, `write_faults` by all else, one each.

    A fault is lost_request, lost_answer, garbage, refused, no_effect, hang (done, and no answer until it is closed),
    or a Reply to give instead. `asked` holds (method, path) in order.
    """

    def __init__(self, stand_in: StandIn) -> None:
        """Start it."""
        self.stand_in = stand_in
        self.read_faults: deque[str | Reply] = deque()
        self.write_faults: deque[str | Reply] = deque()
        self.asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def fault(self, verb: str, name: str) -> None:
        """As the shared checks of actuators name them: observe and probe read, apply and revert write."""
        (self.read_faults if verb in ("observe", "probe") else self.write_faults).append(name)

    def _reply(self, request: Request) -> Reply | None:
        """None: the connection ends without an answer."""
        with self._lock:
            self.asked.append((request.method, "/" + "/".join(request.path)))
            queue = self.read_faults if request.method == "GET" else self.write_faults
            fault = queue.popleft() if queue else ""
            if isinstance(fault, Reply):
                return fault
            if fault == "lost_request":
                return None
            if fault == "refused":
                return self.stand_in.refusal(request)
            if fault == "no_effect":
                return self.stand_in.pretended(request)
            done = self.stand_in.answer(request)
        if fault == "hang":
            self._closing.wait(30)
        if fault in ("lost_answer", "hang"):
            return None
        return Reply(200, "<html>gateway timeout</html>") if fault == "garbage" else done

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("content-length") or 0)
                raw = self.rfile.read(length) if length else b""
                path = tuple(unquote(part) for part in parts.path.split("/") if part)
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                body = json.loads(raw) if raw else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = server._reply(Request(self.command, path, query, headers, body))
                self.close_connection = True
                if reply is None:
                    return
                text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                content = b"" if reply.status == 204 else text.encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 # http.server looks for these names

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler
