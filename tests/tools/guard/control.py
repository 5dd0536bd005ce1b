"""Bursar's side of the guard's wire, strict: it signs rules, and keeps what the guard reports and posts."""

import base64
import gzip
import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.model.canonical import canonical_json
from store.model.usage import iso

TOKEN = "guard-token"
CEILING = """
kinds:
  - set_model_alias
  - set_rate_limit
  - set_session_cap
  - set_output_cap
  - set_context_cap
  - set_reasoning_effort
  - set_service_tier
  - set_prompt_cache
  - block_key
swap_to: [claude-small, gpt-narrow, not-served-here]
scopes: [{team: search}, {team: ads}]
never_touch: [bursar-own, {app: payments}]
lowest: {requests_per_minute: 1, max_calls: 2, max_tokens: 16, max_input_tokens: 1000}
proxies: 3
"""
Json = dict[str, Any]


class Signer:
    """An Ed25519 key, and the two documents that it signs."""

    def __init__(self) -> None:
        """A fresh key."""
        self._key = Ed25519PrivateKey.generate()
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def rules(self, payload: Json) -> Json:
        """The envelope of a rule set."""
        text = canonical_json(payload)
        return {"payload": text, "signature": base64.b64encode(self._key.sign(text.encode())).decode(), "key_id": "k1"}

    def probe(self, payload: Json) -> str:
        """The value of the header `x-bursar-probe`."""
        raw = canonical_json(payload).encode()
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (raw, self._key.sign(raw)))


def payload(sequence: int, rules: list[Json], *, now: datetime, seconds: float = 3600) -> Json:
    """A rule set as Bursar writes it."""
    ends = now + timedelta(seconds=seconds)
    return {"v": 1, "sequence": sequence, "issued_at": iso(now), "expires_at": iso(ends), "rules": rules}


def rule(
    kind: str, target: Mapping[str, str], *, remedy: str | None = None, seconds: float = 600, **settings: Any
) -> Json:
    """One rule, in force from now on for so many seconds."""
    return {
        "remedy_id": remedy or f"rem-{uuid.uuid4().hex[:10]}",
        "revision": 1,
        "expires_at": iso(datetime.now(UTC) + timedelta(seconds=seconds)),
        "reason": "spend rose threefold",
        "owner": "#search-llm",
        "action": {"kind": kind, "target": dict(target), "was": {}, **settings},
    }


class Control:
    """The three routes of GUARD_WIRE on a free port."""

    def __init__(self) -> None:
        """Start with an empty rule set."""
        self.signer = Signer()
        self.public_key = self.signer.public_key
        self.reports: list[Json] = []
        self.usage: list[Json] = []
        self.away = False
        self.place = {"place": 0, "of": 1}
        self.sequence = 0
        self.envelope: Json = {}
        self._news = threading.Condition()
        self.publish([])
        control = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

            def do_GET(self) -> None:
                control.answer(self, b"")

            def do_POST(self) -> None:
                control.answer(self, self.rfile.read(int(self.headers["content-length"])))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def etag(self) -> str:
        """The ETag of what is offered, without quotes."""
        return hashlib.sha256(self.envelope["payload"].encode()).hexdigest()

    def publish(self, rules: list[Json], *, seconds: float = 3600) -> str:
        """Offer a new rule set; its ETag."""
        with self._news:
            self.sequence += 1
            self.envelope = self.signer.rules(payload(self.sequence, rules, now=datetime.now(UTC), seconds=seconds))
        return self.etag

    def enforce(self, *rules: Json, seconds: float = 3600) -> None:
        """Offer rules, and wait until the guard reports that they are in force."""
        etag = self.publish(list(rules), seconds=seconds)
        self.wait(lambda: self.reports[-1]["etag"] == etag)

    def return_to_normal(self) -> None:
        """No rules, Bursar is there."""
        self.away = False
        self.enforce()

    def wait_for_reports(self, more: int = 2) -> None:
        """Until the guard has polled again, so that what was offered before has been seen."""
        wanted = len(self.reports) + more
        self.wait(lambda: len(self.reports) >= wanted)

    def wait_for_usage(self, wanted: Callable[[Json], bool], count: int = 1) -> list[Json]:
        """The posted records that are wanted, once there are so many."""
        self.wait(lambda: sum(map(wanted, self.usage)) >= count)
        return [record for record in self.usage if wanted(record)]

    def wait(self, true: Callable[[], bool], timeout: float = 30) -> None:
        """Until something that the guard sent makes it true."""
        with self._news:
            assert self._news.wait_for(true, timeout=timeout), self.reports[-1:]

    def probe(self, dims: Mapping[str, str], model: str, *, seconds: float = 50) -> str:
        """A signed question."""
        ends = iso(datetime.now(UTC) + timedelta(seconds=seconds))
        nonce = uuid.uuid4().hex
        asked = {"v": 1, "remedy_id": "rem-x", "dims": dict(dims), "model": model, "nonce": nonce, "expires_at": ends}
        return self.signer.probe(asked)

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """One request of the guard."""
        with self._news:
            status, reply, headers = self._reply(request, body)
            self._news.notify_all()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(reply)))
        request.end_headers()
        request.wfile.write(reply)

    def _reply(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.away:
            return 503, b"", {}
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return 401, b"", {}
        if request.command == "GET" and request.path == "/guard/v1/rules":
            etag = f'"{self.etag}"'
            if request.headers["if-none-match"] == etag:
                return 304, b"", {"etag": etag}
            return 200, json.dumps(self.envelope).encode(), {"etag": etag}
        if request.path == "/guard/v1/report":
            self.reports.append(json.loads(body))
            return 200, json.dumps(self.place).encode(), {"content-type": "application/json"}
        if request.path == "/v1/usage":
            sent = gzip.decompress(body) if request.headers["content-encoding"] == "gzip" else body
            records = json.loads(sent)["records"]
            self.usage.extend(records)
            counts = {"accepted": len(records), "duplicate": 0, "superseded": 0, "quarantined": 0}
            return 200, json.dumps(counts).encode(), {}
        return 404, b"", {}

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
