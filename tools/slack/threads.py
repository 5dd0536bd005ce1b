"""Threads in Slack: each of our messages carries its name in its metadata, and is looked up before it is posted.

Slack has no idempotency key. A crash after a post and before its commit would post again; the look-up finds what
stands. No call is repeated here: what fails is told by SlackAway or SlackRefused, and the outbox tries again.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from tools.slack.blocks import Message
from tools.slack.calls import call
from tools.slack.errors import SlackRefused

T = TypeVar("T")

METADATA = "bursar_message"
PAGES = 5
PAGE = 200
_TOO_MUCH = frozenset({"msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"})


class Place(NamedTuple):
    """A message: its channel and its time stamp there."""

    channel: str
    ts: str


class Account(NamedTuple):
    """Who an account belongs to, as Slack says now. `barred`: why it may decide nothing, or ""."""

    team_id: str
    enterprise_id: str
    barred: str


class SlackThreads:
    """The Web API as the steps need it. Safe to share by threads."""

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._us: frozenset[str] = frozenset()

    def post(self, channel: str, message: Message, *, name: str, since: datetime, thread: str | None = None) -> Place:
        """The message of that name in the channel, or in a thread there: found if it stands, else posted.

        `since`: it is not older than that. A message that Slack finds too long is posted as its line of text.
        """
        standing = self.find(channel, name=name, since=since, thread=thread)
        if standing is not None:
            return standing
        return self._with_less(message, lambda given: self._post(channel, given, name=name, thread=thread))

    def find(self, channel: str, *, name: str, since: datetime, thread: str | None = None) -> Place | None:
        """Our own message of that name; another app's with the same metadata does not count."""
        for found in self._messages(channel, since=since, thread=thread):
            metadata = found.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == METADATA and payload.get("name") == name:
                return Place(channel, str(found["ts"]))
        return None

    def update(self, place: Place, message: Message) -> None:
        """Replace a message in place; its metadata stay."""

        def change(given: Message) -> SlackResponse:
            return call(
                "chat.update",
                lambda: self._client.chat_update(
                    channel=place.channel, ts=place.ts, text=given.text, blocks=given.blocks, link_names=False
                ),
            )

        self._with_less(message, change)

    def answer(self, channel: str, user: str, text: str) -> None:
        """Tell one person something that nobody else sees."""
        call(
            "chat.postEphemeral",
            lambda: self._client.chat_postEphemeral(channel=channel, user=user, text=text, link_names=False),
        )

    def upload(self, place: Place, *, filename: str, content: bytes, title: str, since: datetime) -> None:
        """A file in a thread, once: one of that name that is there already is left."""
        for found in self._messages(place.channel, since=since, thread=place.ts):
            if any(one.get("name") == filename for one in found.get("files") or []):
                return
        call(
            "files.upload",
            lambda: self._client.files_upload_v2(
                channel=place.channel, thread_ts=place.ts, filename=filename, content=content, title=title
            ),
        )

    def account(self, user_id: str) -> Account:
        """Look an account up, now. One that Slack does not show us is barred."""
        try:
            answer = call("users.info", lambda: self._client.users_info(user=user_id))
        except SlackRefused as refused:
            if refused.code in {"user_not_found", "user_not_visible", "users_not_found"}:
                return Account("", "", "Slack does not know the account")
            raise
        user = answer.get("user")
        return _account(user if isinstance(user, dict) else {})

    def _post(self, channel: str, message: Message, *, name: str, thread: str | None) -> Place:
        answer = call(
            "chat.postMessage",
            lambda: self._client.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=message.blocks,
                thread_ts=thread,
                metadata={"event_type": METADATA, "event_payload": {"name": name}},
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
            ),
        )
        return Place(str(answer["channel"]), str(answer["ts"]))

    def _with_less(self, message: Message, send: Callable[[Message], T]) -> T:
        try:
            return send(message)
        except SlackRefused as refused:
            if refused.code not in _TOO_MUCH:
                raise
            return send(Message(message.text, []))

    def _messages(self, channel: str, *, since: datetime, thread: str | None) -> Iterator[dict[str, Any]]:
        """Our own messages since then, page by page; at most PAGES."""
        asked: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{since.timestamp():.6f}",
            "limit": PAGE,
            "include_all_metadata": True,
        }
        for _ in range(PAGES):
            answer = self._page(asked, thread)
            yield from (one for one in answer.get("messages") or [] if self._is_ours(one))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            asked["cursor"] = cursor

    def _page(self, asked: dict[str, Any], thread: str | None) -> SlackResponse:
        if thread is None:
            return call("conversations.history", lambda: self._client.conversations_history(**asked))
        return call("conversations.replies", lambda: self._client.conversations_replies(ts=thread, **asked))

    def _is_ours(self, message: dict[str, Any]) -> bool:
        if not self._us:
            us = call("auth.test", self._client.auth_test)
            self._us = frozenset(str(us[name]) for name in ("user_id", "bot_id") if us.get(name))
        return not self._us.isdisjoint({message.get("user"), message.get("bot_id")})


def _account(user: dict[str, Any]) -> Account:
    """Deny by default: an account without an id, or with a flag that we do not expect, is barred."""
    reasons = {
        "deleted": "the account is deactivated",
        "is_bot": "a bot decides nothing",
        "is_workflow_bot": "a bot decides nothing",
        "is_restricted": "a guest decides nothing",
        "is_ultra_restricted": "a guest decides nothing",
        "is_stranger": "an account of another organisation decides nothing",
        "is_invited_user": "the account is not set up yet",
    }
    grid = user.get("enterprise_user")
    barred = next((says for flag, says in reasons.items() if user.get(flag)), "")
    if not user.get("id") or not user.get("team_id"):
        barred = barred or "Slack does not say whose account it is"
    return Account(
        team_id=str(user.get("team_id") or ""),
        enterprise_id=str(grid.get("enterprise_id") or "") if isinstance(grid, dict) else "",
        barred=barred,
    )
