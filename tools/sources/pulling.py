"""The sources that are pulled, by format, behind one shape."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Protocol

from store.errors import BadInput
from store.model.ports import Clock
from store.model.usage import Window
from tools.http import Host, checked_url
from tools.sources import anthropic_admin_pull, langfuse_pull, openai_admin_pull
from tools.sources.litellm_pull import LiteLLMPuller
from tools.sources.report_pages import PullCursor, Pulled
from tools.sources.settings import PullSettings

_SECONDS = 60.0
_MOST_BYTES = 2**28
_BASE_URLS = {
    "anthropic": anthropic_admin_pull.BASE_URL,
    "openai": openai_admin_pull.BASE_URL,
    "langfuse": langfuse_pull.BASE_URL,
}
_WIDTHS = {"1m": 60, "1h": 3_600, "1d": 86_400}


class Puller(Protocol):
    """Reads an API page by page."""

    def pull(self, window: Window, cursor: PullCursor | None = None) -> Iterator[Pulled]:
        """The window's pages, lazily; from the cursor on where it is one of this window.

        Raises:
            BadInput: the key may not read, or the question is not taken.
            NoAnswer: no trustworthy answer; AskedToWait where the provider said how long.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def open_puller(kind: str, *, name: str, settings: PullSettings, clock: Clock, wait: Callable[[float], None]) -> Puller:
    """The puller of that format; `wait` sleeps for that many seconds, or raises.

    Raises:
        BadInput: the base URL is none.
    """
    try:
        url = checked_url(settings.base_url or _BASE_URLS[kind])
    except ValueError as error:
        raise BadInput(f"source {name}: base_url: {error}") from error
    key = settings.key.get_secret_value()
    bearer = key if kind == "litellm" else None
    host = Host(url, bearer=bearer, seconds=_SECONDS, most_bytes=_MOST_BYTES)
    if kind == "litellm":
        return LiteLLMPuller(host=host, clock=clock, name=name, grain=settings.grain)
    if kind == "langfuse":
        return langfuse_pull.pull_langfuse(
            host=host, public_key=settings.public_key or "", secret_key=key, clock=clock, wait=wait, name=name
        )
    pull = anthropic_admin_pull.pull_anthropic if kind == "anthropic" else openai_admin_pull.pull_openai
    return pull(host=host, admin_key=key, clock=clock, wait=wait, name=name, bucket_width=settings.bucket)


def lookback_of(kind: str, settings: PullSettings) -> timedelta:
    """How far back a pull begins before the end of the last."""
    single = kind == "langfuse" or (kind == "litellm" and settings.grain == "calls")
    return timedelta(hours=settings.lookback_hours or (2 if single else 48))


def width_of(kind: str, settings: PullSettings) -> int:
    """To how many seconds the windows of a pull are rounded outwards."""
    if kind in ("anthropic", "openai"):
        return _WIDTHS[settings.bucket]
    return 86_400 if kind == "litellm" and settings.grain == "days" else 1
