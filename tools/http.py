"""HTTP to a host that the operator named: no redirects, no proxies from the environment, bounded time and size."""

import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx


class NoAnswer(Exception):
    """No trustworthy answer came: what was asked, and what happened. It never holds a secret."""


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    body: bytes
    headers: httpx.Headers


def checked_url(text: str) -> str:
    """A base URL without its last slash.

    Raises:
        ValueError: it is not http(s)://HOST[:PORT][/PATH], or it carries a password or a query.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL such as https://litellm.internal:4000")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a URL with a user, a password, a query or a fragment is not taken; give the key by itself")
    return text.rstrip("/")


class Host:
    """One host. `seconds` bounds a whole call, from its first byte to its last; `most_bytes` its answer."""

    def __init__(
        self, base_url: str, *, bearer: str | None = None, seconds: float = 5.0, most_bytes: int = 2**20
    ) -> None:
        self.base_url = checked_url(base_url)
        self._seconds = seconds
        self._most_bytes = most_bytes
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(seconds),
            follow_redirects=False,
            trust_env=False,
            verify=self.base_url.startswith(
                "https:"
            ),  # reading the certificates takes long, and http has no use for them
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, once.

        Raises:
            NoAnswer: no connection, too slow, or too large.
        """
        what = f"{method} {self.base_url}{path}"
        ends = time.monotonic() + self._seconds
        chunks, size = [], 0
        try:
            with self._client.stream(
                method, f"{self.base_url}{path}", params=params, json=json, headers=headers
            ) as answer:
                for chunk in answer.iter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > self._most_bytes:
                        raise NoAnswer(f"{what}: the answer is larger than {self._most_bytes:,} bytes")
                    if time.monotonic() > ends:
                        raise NoAnswer(f"{what}: not answered within {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"{what}: {type(error).__name__} {error}".rstrip()) from error
        return Answer(answer.status_code, b"".join(chunks), answer.headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
