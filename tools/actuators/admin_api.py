"""An admin API over HTTP: JSON in, JSON out, and three kinds of answer: yes, no, and nobody knows."""

import json as json_text
from collections.abc import Mapping
from typing import Any

from tools.http import Answer, Host, NoAnswer

Json = dict[str, Any]
SECONDS = 8.0
"""A whole call; a step makes a handful of them, and must end long before its claim does (120 s)."""
MOST_BYTES = 8 * 2**20
_NO = frozenset({400, 401, 403, 404, 405, 409, 410, 415, 422})
"""Answers that say no: nothing was changed. A limit (429), a fault (5xx) and anything else leave it open."""


class Refused(Exception):
    """The API said no and changed nothing: what was asked, and what it said."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class AdminApi:
    """One API with one set of headers; the headers hold the secret, no message ever does."""

    def __init__(
        self, base_url: str, *, headers: Mapping[str, str], seconds: float = SECONDS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._host = Host(base_url, seconds=seconds, most_bytes=most_bytes)
        self._headers = dict(headers)

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON that it answers with.

        Raises:
            Refused: it said no.
            NoAnswer: no trustworthy answer.
        """
        return self.answer("GET", path, params=params)[0]

    def send(self, method: str, path: str, body: object = None, **params: str | int) -> Any:
        """Change something; the JSON that it answers with.

        Raises:
            Refused: it said no, and nothing was changed.
            NoAnswer: nobody knows whether it was changed.
        """
        return self.answer(method, path, json=body, params=params)[0]

    def answer(
        self, method: str, path: str, *, json: object = None, params: Mapping[str, str | int] | None = None
    ) -> tuple[Any, Answer]:
        """The same with the answer's headers, for those who must follow pages."""
        got = self._host.call(method, path, json=json, params=params or None, headers=self._headers)
        what = f"{method} {self._host.base_url}{path}: {got.status}"
        if got.status in _NO and not _is_a_limit(got):
            raise Refused(got.status, f"{what} {_says(got)}".rstrip())
        if not 200 <= got.status < 300:
            raise NoAnswer(f"{what} {_says(got)}".rstrip())
        if got.status == 204 or not got.body:
            return {}, got
        try:
            return json_text.loads(got.body), got
        except (ValueError, RecursionError) as error:
            raise NoAnswer(f"{what}: the answer is no JSON") from error

    def close(self) -> None:
        """Close the connections."""
        self._host.close()


def an_object(found: object, what: str) -> Json:
    """A JSON object.

    Raises:
        NoAnswer: it is something else, so whoever answered is not who was asked.
    """
    if not isinstance(found, dict):
        raise NoAnswer(f"{what}: the answer is not of the published shape")
    return found


def a_list(found: object, what: str) -> list[Json]:
    """A JSON array of objects.

    Raises:
        NoAnswer: it is something else.
    """
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise NoAnswer(f"{what}: the answer is not of the published shape")
    return found


def _is_a_limit(got: Answer) -> bool:
    """GitHub answers 403 where others answer 429: no permission is missing, it was only too much at once."""
    spent = got.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in got.headers
    return got.status == 403 and spent


def _says(got: Answer) -> str:
    """What the body says of an error, shortened."""
    try:
        body = json_text.loads(got.body)
    except (ValueError, RecursionError):
        return ""
    if isinstance(body, dict):
        error = body.get("error", body.get("message", body.get("detail", "")))
        body = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(body).split())[:300]
