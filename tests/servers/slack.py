"""A stand-in for Slack over real sockets: the Web API, strictly, and Socket Mode. Nothing of Bursar is in it."""

import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.servers.slack_rules import Rejected, check_message, live_text

TEAM, BOT, BOT_USER, APP = "T0AAA", "B0BURSAR", "U0BURSAR", "A0BURSAR"
BOT_TOKEN, APP_TOKEN = "xoxb-stand-in", "xapp-stand-in"
CHANNEL, OTHER_CHANNEL = "C0FINOPS", "C0SEARCH"
ACK_SECONDS = 3.0

Json = dict[str, Any]


@dataclass
class Fault:
    """What goes wrong. Before the call has its effect, or, `late`, after it and before the answer.

    kind: "error" (Slack says `code`), "http" (`status`, with Retry-After where `retry_after` is given), "cut" (the
    connection ends without an answer), "garbage", "slow" (`seconds`).
    """

    kind: str
    code: str = ""
    status: int = 500
    retry_after: int | None = None
    seconds: float = 0.0
    late: bool = False
    times: int | None = None
    """None: until it is mended."""


@dataclass
class Delivery:
    """One envelope and what became of it."""

    envelope_id: str
    sent_at: float
    acked: threading.Event = field(default_factory=threading.Event)
    ack_seconds: float | None = None


class SlackStandIn:
    """One workspace. Use as a context manager; `violations` must stay empty: texts that Slack would bring to life."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.users: dict[str, Json] = {}
        self.messages: dict[str, list[Json]] = {CHANNEL: [], OTHER_CHANNEL: []}
        self.ephemerals: list[Json] = []
        self.files: dict[str, Json] = {}
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.faults: dict[str, Fault] = {}
        self.on_effect: Callable[[str, Json], None] = lambda _method, _given: None
        self._numbers = count(1)
        self._connections: list[ServerConnection] = []
        self._deliveries: dict[str, Delivery] = {}
        self._tickets: set[str] = set()
        for name in ("ann", "ben", "cleo"):
            self.add_user(f"U0{name.upper()}")

    # --- the workspace

    def add_user(self, user_id: str, **flags: Any) -> str:
        self.users[user_id] = {"id": user_id, "team_id": TEAM, "deleted": False, "is_bot": False, **flags}
        return user_id

    def fail(self, method: str = "*", **fault: Any) -> None:
        """From now on calls of the method (or of every one) go wrong so."""
        self.faults[method] = Fault(**fault)

    def mend(self) -> None:
        self.faults.clear()

    def roots(self, channel: str = CHANNEL) -> list[Json]:
        with self.lock:
            return [one for one in self.messages[channel] if one.get("thread_ts") in (None, one["ts"])]

    def replies(self, root: Json, channel: str = CHANNEL) -> list[Json]:
        with self.lock:
            return [
                one for one in self.messages[channel] if one.get("thread_ts") == root["ts"] and one["ts"] != root["ts"]
            ]

    def called(self, method: str) -> int:
        with self.lock:
            return self.calls.count(method)

    # --- clicks

    def click(self, user_id: str, root: Json, action_id: str, value: str, **changes: Any) -> Delivery:
        """A person uses a button or a menu of a message; the envelope goes to one of the connections in turn."""
        return self.deliver("interactive", self.click_payload(user_id, root, action_id, value, **changes))

    def click_payload(self, user_id: str, root: Json, action_id: str, value: str, **changes: Any) -> Json:
        """What Slack says of a click."""
        chosen: Json = {"type": "static_select", "selected_option": {"value": value}}
        action = {"type": "button", "value": value} if "reject" not in action_id else chosen
        team = self.users.get(user_id, {}).get("team_id", TEAM)
        with self.lock:
            stamp = f"{self.clock():.0f}.{next(self._numbers):06d}"
        return {
            "type": "block_actions",
            "api_app_id": APP,
            "team": {"id": TEAM},
            "user": {"id": user_id, "team_id": team},
            "container": {"type": "message", "channel_id": root["channel"], "message_ts": root["ts"]},
            "channel": {"id": root["channel"]},
            "message": {"ts": root["ts"]},
            "trigger_id": "1.2.3",
            "actions": [{"action_id": action_id, "block_id": "b", "action_ts": stamp, **action}],
            **changes,
        }

    def deliver(self, kind: str, payload: Any, *, envelope_id: str | None = None) -> Delivery:
        with self.lock:
            number = next(self._numbers)
            delivery = Delivery(envelope_id or f"env-{number}", time.monotonic())
            self._deliveries[delivery.envelope_id] = delivery
            connection = self._connections[number % len(self._connections)]
        envelope = {"type": kind, "envelope_id": delivery.envelope_id, "payload": payload}
        connection.send(json.dumps({**envelope, "accepts_response_payload": False}))
        return delivery

    def connections(self) -> int:
        with self.lock:
            return len(self._connections)

    def drop_connections(self) -> None:
        """Every WebSocket ends, as when Slack recycles them."""
        with self.lock:
            connections = list(self._connections)
        for one in connections:
            one.close()

    # --- running

    def __enter__(self) -> "SlackStandIn":
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"slack": self}))
        self._web.daemon_threads = True
        self._socket: Server = serve(self._talk, "127.0.0.1", 0, ping_interval=None)
        for target in (lambda: self._web.serve_forever(poll_interval=0.02), self._socket.serve_forever):
            threading.Thread(target=target, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop_connections()
        self._socket.shutdown()
        self._web.shutdown()
        self._web.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._web.server_address[1]}"

    @property
    def base_url(self) -> str:
        return f"{self.address}/api/"

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        ticket = urllib.parse.parse_qs(urllib.parse.urlsplit(connection.request.path).query).get("ticket", [""])[0]
        with self.lock:
            if ticket not in self._tickets:
                connection.close(1008, "the ticket is used up")
                return
            self._tickets.discard(ticket)
        connection.send(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": APP}}))
        with self.lock:
            self._connections.append(connection)
        try:
            for text in connection:
                self._acknowledge(json.loads(text))
        except ConnectionClosed:
            return
        finally:
            with self.lock:
                self._connections.remove(connection)

    def _acknowledge(self, answer: Json) -> None:
        with self.lock:
            delivery = self._deliveries[answer["envelope_id"]]
            delivery.ack_seconds = time.monotonic() - delivery.sent_at
        if delivery.ack_seconds > ACK_SECONDS:
            self.violations.append(f"{delivery.envelope_id} acknowledged after {delivery.ack_seconds:.1f} s")
        delivery.acked.set()

    # --- the Web API

    def answer(self, method: str, given: Json, token: str) -> Json:
        if token != (APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN):
            raise Rejected("invalid_auth", token)
        door = getattr(self, "_" + method.replace(".", "_").lower(), None)
        if door is None:
            raise Rejected("unknown_method", method)
        with self.lock:
            found: Json = door(given)
        return found

    def _auth_test(self, _given: Json) -> Json:
        return {"team": "Acme", "user": "bursar", "team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT}

    def _apps_connections_open(self, _given: Json) -> Json:
        ticket = f"t{next(self._numbers)}"
        self._tickets.add(ticket)
        port = self._socket.socket.getsockname()[1]
        return {"url": f"ws://127.0.0.1:{port}/link/?ticket={ticket}&app_id={APP}"}

    def _chat_postmessage(self, given: Json) -> Json:
        message = self._written(given)
        if given.get("thread_ts"):
            self._message(given["channel"], given["thread_ts"], "thread_not_found")
            message["thread_ts"] = given["thread_ts"]
        message.update(ts=self._stamp(), metadata=given.get("metadata"), channel=given["channel"])
        self._place(given).append(message)
        return {"channel": given["channel"], "ts": message["ts"], "message": message}

    def _chat_update(self, given: Json) -> Json:
        standing = self._message(given["channel"], given["ts"], "message_not_found")
        if standing["bot_id"] != BOT:
            raise Rejected("cant_update_message", "not ours")
        standing.update(self._written(given), edited=True)
        return {"channel": given["channel"], "ts": given["ts"]}

    def _chat_postephemeral(self, given: Json) -> Json:
        self._place(given)
        if given["user"] not in self.users:
            raise Rejected("user_not_in_channel", given["user"])
        self.ephemerals.append({**self._written(given), "user": given["user"], "channel": given["channel"]})
        return {"message_ts": self._stamp()}

    def _conversations_history(self, given: Json) -> Json:
        self._place(given)
        newest_first = list(reversed(self.roots(given["channel"])))
        return self._page(newest_first, given)

    def _conversations_replies(self, given: Json) -> Json:
        root = self._message(given["channel"], given["ts"], "thread_not_found")
        return self._page([root, *self.replies(root, given["channel"])], given)

    def _page(self, found: list[Json], given: Json) -> Json:
        oldest, start, size = float(given.get("oldest") or 0), int(given.get("cursor") or 0), int(given["limit"])
        found = [one for one in found if float(one["ts"]) >= oldest]
        shown = [{**one} for one in found[start : start + size]]
        if str(given.get("include_all_metadata")).lower() not in {"1", "true"}:
            for one in shown:
                one.pop("metadata", None)
        more = start + size < len(found)
        return {"messages": shown, "response_metadata": {"next_cursor": str(start + size) if more else ""}}

    def _users_info(self, given: Json) -> Json:
        if given["user"] not in self.users:
            raise Rejected("user_not_found", given["user"])
        return {"user": self.users[given["user"]]}

    def _files_getuploadurlexternal(self, given: Json) -> Json:
        name = f"F{next(self._numbers)}"
        self.files[name] = {"id": name, "name": given["filename"], "length": int(given["length"]), "content": b""}
        return {"upload_url": f"{self.address}/upload/{name}", "file_id": name}

    def _files_completeuploadexternal(self, given: Json) -> Json:
        wanted = given["files"] if isinstance(given["files"], list) else json.loads(given["files"])
        for one in wanted:
            file = self.files[one["id"]]
            if len(file["content"]) != file["length"] or not file["content"]:
                raise Rejected("file_upload_size_mismatch", one["id"])
        shown = [{"id": one["id"], "name": self.files[one["id"]]["name"], "title": one["title"]} for one in wanted]
        message: Json = {"ts": self._stamp(), "user": BOT_USER, "bot_id": BOT, "text": "", "blocks": [], "files": shown}
        message["thread_ts"] = given["thread_ts"]
        self._message(given["channel_id"], given["thread_ts"], "invalid_thread_ts")
        self.messages[given["channel_id"]].append(message)
        return {"files": shown}

    def _written(self, given: Json) -> Json:
        blocks = given.get("blocks") or []
        blocks = json.loads(blocks) if isinstance(blocks, str) else blocks
        check_message(given.get("text", ""), blocks)
        self.violations += live_text(given.get("text", ""), blocks, known=self.users)
        if given.get("unfurl_links") not in (None, False):
            self.violations.append("links are unfurled")
        return {"text": given.get("text", ""), "blocks": blocks, "bot_id": BOT, "app_id": APP, "user": BOT_USER}

    def _place(self, given: Json) -> list[Json]:
        if given.get("channel") not in self.messages:
            raise Rejected("channel_not_found", str(given.get("channel")))
        return self.messages[given["channel"]]

    def _message(self, channel: str, ts: str, code: str) -> Json:
        found = next((one for one in self._place({"channel": channel}) if one["ts"] == ts), None)
        if found is None:
            raise Rejected(code, ts)
        return found

    def _stamp(self) -> str:
        return f"{self.clock():.0f}.{next(self._numbers):06d}"


class _Handler(BaseHTTPRequestHandler):
    slack: SlackStandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/upload/"):
            self.slack.files[self.path.rpartition("/")[2]]["content"] = body
            self._say(200, b"OK")
            return
        method = self.path.removeprefix("/api/")
        with self.slack.lock:
            self.slack.calls.append(method)
            fault = self.slack.faults.get(method) or self.slack.faults.get("*")
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times < 0:
                    fault = None
        if fault is not None and not fault.late and self._goes_wrong(fault):
            return
        given = self._given(body)
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            answer = {"ok": True, **self.slack.answer(method, given, given.pop("token", None) or token)}
        except Rejected as rejected:
            answer = {"ok": False, "error": rejected.code, "detail": str(rejected)}
        else:
            self.slack.on_effect(method, given)
        if fault is not None and fault.late and self._goes_wrong(fault):
            return
        self._say(200, json.dumps(answer).encode())

    def _goes_wrong(self, fault: Fault) -> bool:
        """Whether the answer is given, or never will be."""
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return False
        if fault.kind == "http":
            wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._say(fault.status, b'{"ok": false, "error": "ratelimited"}' if fault.status == 429 else b"<h1/>", wait)
        elif fault.kind == "error":
            self._say(200, json.dumps({"ok": False, "error": fault.code}).encode())
        elif fault.kind == "garbage":
            self._say(200, b"{not json")
        self.close_connection = True
        return True

    def _given(self, body: bytes) -> Json:
        if "json" in self.headers.get("content-type", ""):
            found: Json = json.loads(body or b"{}")
            return found
        return dict(urllib.parse.parse_qsl(body.decode()))

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
