"""One call to the Messages API: what came back, or why nothing trustworthy did. It tries once; the caller retries.

What may have cost something is said: a call that was not answered is counted as if it had cost all that it could.
Source: the provider's pages on errors and on stop reasons; RELIABILITY 4.4 for what the library does by itself.
"""

import time
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx2

from store.model.transcript import ReviewOutcome
from tools.reasoner.reply import Failed, Reply, parse_reply
from tools.reasoner.settings import ReasonerSettings

MOST_BYTES = 4 * 2**20
TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
FREE = frozenset({400, 401, 402, 403, 404, 413, 422, 429, 529})
"""Refused before a model saw it."""
OUR_MISTAKE = frozenset({400, 401, 402, 403, 404, 413, 422})
SPEND_LIMITS = (
    anthropic.EnforcedSpendLimitReachedError,
    anthropic.ContractSpendLimitReachedError,
    anthropic.RampLimitExceededError,
)
"""429s that do not go away by waiting a little."""


class MessagesApi:
    """The provider, or a gateway in its place. No redirects, no proxies from the environment, bounded time and size."""

    def __init__(self, settings: ReasonerSettings) -> None:
        self._client = anthropic.Anthropic(
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.base_url,
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False, trust_env=False),
        )

    def post(self, request: dict[str, object], *, seconds: float) -> Reply | Failed:
        """Send one request, once."""
        ends = time.monotonic() + seconds
        fields: Any = request
        try:
            with self._client.messages.with_streaming_response.create(
                **fields,
                timeout=httpx2.Timeout(seconds, connect=min(5.0, seconds)),
            ) as response:
                return _read(response.iter_bytes(), ends)
        except anthropic.APIStatusError as error:
            return _refused(error)
        except (anthropic.APIError, httpx2.HTTPError) as error:
            never_sent = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
            return Failed("unavailable", f"no answer ({type(error).__name__})", again=True, free=never_sent)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read(chunks: Iterable[bytes], ends: float) -> Reply | Failed:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MOST_BYTES:
            return Failed("unavailable", f"the answer is larger than {MOST_BYTES:,} bytes")
        if time.monotonic() > ends:
            return Failed("unavailable", "not answered in time", again=True)
    return parse_reply(bytes(body)) or Failed("unavailable", "the answer is no message of the Messages API")


def _refused(error: anthropic.APIStatusError) -> Failed:
    """A status of 400 or more. The server's words are not repeated: they may hold what was sent."""
    status = error.status_code
    says = f"HTTP {status}" + (f" {error.type}" if isinstance(error.type, str) and error.type.isidentifier() else "")
    if isinstance(error, SPEND_LIMITS):
        return Failed("misconfigured", f"{says}: the provider's own spend limit is reached", free=True)
    outcome: ReviewOutcome = "misconfigured" if status in OUR_MISTAKE or status < 400 else "unavailable"
    return Failed(
        outcome,
        says,
        again=status in TRY_AGAIN or status >= 500,
        free=status in FREE or status < 400,
        retry_after=_seconds(error.response.headers.get("retry-after")),
    )


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < 10**6 else None
