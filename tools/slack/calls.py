"""One call to Slack's Web API, with one meaning for each way in which it fails."""

import logging
import re
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from tools.slack.errors import SlackAway, SlackRefused
from tools.slack.settings import SlackSettings

TIMEOUT_SECONDS = 10
RATE_LIMIT_SECONDS = 30.0
"""How long to wait after a 429 that does not say."""
TOKEN_SECONDS = 300.0
"""How long to wait while our token is refused: a person has to put it right."""

_FAULTS = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_TOKEN = frozenset({"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"})
_CODE = re.compile(r"[a-z0-9_]{1,60}")
"""The SDK puts a sentence where a proxy's page, or half an answer, has no code of Slack's."""
_QUIET = logging.getLogger("bursar.slack.sdk")
_QUIET.setLevel(logging.CRITICAL)  # the SDK logs every failed call; ours are logged where they are handled


def open_client(settings: SlackSettings) -> WebClient:
    """A client with the bot's token, that tries each call once: the outbox is the one retry layer."""
    return WebClient(
        token=settings.bot_token.get_secret_value(),
        base_url=settings.base_url,
        timeout=TIMEOUT_SECONDS,
        retry_handlers=[],
        logger=_QUIET,
    )


def ping(settings: SlackSettings) -> str:
    """Whether Slack takes the bot's token: "ok, @bursar in Acme", or what is wrong."""
    try:
        us = call("auth.test", open_client(settings).auth_test)
    except (SlackAway, SlackRefused) as error:
        return str(error)
    return f"ok, @{us.get('user')} in {us.get('team')}"


def call(what: str, ask: Callable[[], SlackResponse]) -> SlackResponse:
    """Make one call; `what` names it in errors.

    Raises:
        SlackAway: later may be better.
        SlackRefused: it will not.
    """
    try:
        return ask()
    except SlackApiError as error:
        raise _meaning(what, error) from error
    except (SlackClientError, OSError, HTTPException, ValueError) as error:
        raise SlackAway(f"slack {what}: no answer ({type(error).__name__})") from error


def _meaning(what: str, error: SlackApiError) -> SlackAway | SlackRefused:
    response: Any = error.response
    status = int(getattr(response, "status_code", 0) or 0)
    headers: Mapping[str, Any] = getattr(response, "headers", None) or {}
    body = getattr(response, "data", response)
    error_name = str(body.get("error", "")) if isinstance(body, Mapping) else ""
    code = error_name if _CODE.fullmatch(error_name) else ""
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        seconds = _seconds(headers)
        return SlackAway(f"slack {what}: rate limited for {seconds:g} s", retry_after=seconds)
    if code in _TOKEN:
        return SlackAway(f"slack {what}: {code}; put the token right", retry_after=TOKEN_SECONDS)
    if status >= 500 or code in _FAULTS or not code:
        return SlackAway(f"slack {what}: {code or f'status {status}'}")
    return SlackRefused(f"slack {what}: {code}", code=code)


def _seconds(headers: Mapping[str, Any]) -> float:
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    value = value[0] if isinstance(value, list) and value else value
    try:
        return min(max(float(str(value)), 1.0), 3600.0)
    except ValueError:
        return RATE_LIMIT_SECONDS
