"""A stand-in for a LiteLLM proxy with the guard inside, strictly by the wire: it fetches, verifies, reports and probes.

It polls when it is told to, so that tests need no sleep. It enforces nothing: `decide` only says which rules a
request would meet.
"""

import base64
import hashlib
import json
import threading
from collections import deque
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.model.ports import Clock

Json = dict[str, Any]


class GuardProxy:
    """`refuse` names remedies that its ceiling file does not allow; `faults` spoil the next answers of its route."""

    def __init__(
        self, *, bursar_url: str, token: str, public_key: str, clock: Clock, proxy_id: str = "proxy-1"
    ) -> None:
        self.proxy_id = proxy_id
        self.rules: Json | None = None
        self.etag: str | None = None
        self.off = False
        self.place = (0, 1)
        self.refuse: dict[str, str] = {}
        self.faults: deque[str] = deque()
        self.polls: list[int] = []
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        self._clock = clock
        self._nonces: set[str] = set()
        self._client = httpx.Client(
            base_url=bursar_url, headers={"authorization": f"Bearer {token}"}, trust_env=False, verify=False
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        self._client.close()

    # --- towards Bursar --------------------------------------------------------------------------------------

    def poll(self) -> int:
        """Fetch and report, as the guard does every few seconds; the status of the fetch."""
        headers = {"if-none-match": f'"{self.etag}"'} if self.etag else {}
        answer = self._client.get("/guard/v1/rules", headers=headers)
        if answer.status_code == httpx.codes.OK:
            self._accept(answer)
        self.polls.append(answer.status_code)
        self.report()
        return answer.status_code

    def report(self) -> None:
        """Say what is in force here."""
        now = self._clock().isoformat()
        body = {
            "proxy_id": self.proxy_id,
            "etag": self.etag,
            "sequence": self.rules["sequence"] if self.rules else None,
            "version": "stand-in",
            "litellm": "1.106.2",
            "started_at": now,
            "now": now,
            "off": self.off,
            "refused_rules": [{"remedy_id": name, "why": why} for name, why in self.refuse.items()],
            "counters": {"seen": 0, "changed": 0, "refused": 0, "errors": 0, "dropped": 0},
        }
        answer = self._client.post("/guard/v1/report", json=body)
        assert answer.status_code == httpx.codes.OK
        self.place = (answer.json()["place"], answer.json()["of"])

    def _accept(self, answer: httpx.Response) -> None:
        envelope = answer.json()
        raw = envelope["payload"].encode()
        self._key.verify(base64.b64decode(envelope["signature"], validate=True), raw)
        etag = hashlib.sha256(raw).hexdigest()
        assert answer.headers["etag"] == f'"{etag}"'
        offered = json.loads(raw)
        assert offered["v"] == 1
        if self.rules is not None and offered["sequence"] < self.rules["sequence"]:
            return
        if _moment(offered["expires_at"]) > self._clock():
            self.rules, self.etag = offered, etag

    # --- towards clients -------------------------------------------------------------------------------------

    def answer(self, body: Json, sealed: str | None) -> tuple[int, Json]:
        """What a request of the proxy's route gets."""
        if sealed is None:
            return 200, {"choices": [{"message": {"content": "hello"}}], "model": body.get("model")}
        try:
            asked = self._open(sealed)
        except (InvalidSignature, ValueError, KeyError) as error:
            return 403, {"error": {"type": "bursar_probe_refused", "message": str(error)}}
        decision = self.decide({**asked["dims"], "model": asked["model"]})
        found = {"etag": self.etag, "sequence": self.rules["sequence"] if self.rules else None, "decision": decision}
        return 418, {"error": {"type": "bursar_probe", "message": json.dumps(found)}}

    def decide(self, dims: Json) -> Json:
        """Which rules a request with these dimensions meets, and what they would do."""
        met = [
            rule
            for rule in (self.rules or {"rules": []})["rules"]
            if _moment(rule["expires_at"]) > self._clock()
            and not self.off
            and rule["remedy_id"] not in self.refuse
            and all(dims.get(name) == value for name, value in rule["action"]["target"].items())
        ]
        does: Json = dict.fromkeys(("model", "max_tokens", "cache", "limit", "effort", "tier"))
        does["verdict"] = "ok"
        for rule in met:
            action = rule["action"]
            match action["kind"]:
                case "block_key":
                    does["verdict"] = "refuse"
                case "set_model_alias" if action["from_model"] == dims["model"]:
                    does["model"] = action["to_model"]
                case "set_output_cap":
                    does["max_tokens"] = action["max_tokens"]
                case "set_prompt_cache":
                    does["cache"] = action["ttl"]
                case "set_reasoning_effort":
                    does["effort"] = action["effort"]
                case "set_service_tier":
                    does["tier"] = action["tier"]
                case "set_rate_limit" | "set_session_cap" | "set_context_cap":
                    does["limit"] = {"remedy_id": rule["remedy_id"]}
        return {**does, "rules": [rule["remedy_id"] for rule in met]}

    def _open(self, sealed: str) -> Json:
        payload, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in sealed.split("."))
        self._key.verify(signature, payload)
        asked: Json = json.loads(payload)
        if asked["v"] != 1 or not 0 < (_moment(asked["expires_at"]) - self._clock()).total_seconds() <= 60:
            raise ValueError("this probe has expired, or lives too long")
        if asked["nonce"] in self._nonces:
            raise ValueError("this probe was asked before")
        self._nonces.add(asked["nonce"])
        return asked

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fault = proxy.faults.popleft() if proxy.faults else ""
                if fault == "lost_answer":
                    self.close_connection = True
                    return
                status, found = proxy.answer(body, self.headers.get("x-bursar-probe"))
                if fault == "refused":
                    status, found = 401, {"error": {"message": "Authentication Error", "type": "auth_error"}}
                content = b"<html>502 Bad Gateway</html>" if fault == "garbage" else json.dumps(found).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
