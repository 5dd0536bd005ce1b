"""Block Kit as a page of its own: what a message of ours looks like in Slack, for a picture in the docs.

The messages are the product's; only this rendering is ours. It knows the blocks that tools.slack.blocks makes.
"""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tools.slack.blocks import Message

_TEMPLATE = "page.html.j2"
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)>")
_BOLD = re.compile(r"\*([^*\n]+)\*")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


class Shown(NamedTuple):
    """A message in its place: when it was posted, in words, and the PNG that was uploaded instead of blocks."""

    when: str
    message: Message | None
    png: bytes | None = None


class Pane(NamedTuple):
    """One column of the page: what it is, what stands above it, and its messages, the oldest first."""

    title: str
    caption: str
    messages: Sequence[Shown]


def thread_page(panes: Sequence[Pane], *, names: Mapping[str, str]) -> str:
    """The panes side by side, as one HTML document without scripts that fetches nothing.

    `names`: user id to the name that a mention shows.

    Raises:
        ValueError: a block or an element of a kind that this page does not know.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["mrkdwn"] = partial(_mrkdwn, names=names)
    environment.filters["png"] = _data_url
    for pane in panes:
        for shown in pane.messages:
            _check(shown.message.blocks if shown.message else [])
    return environment.get_template(_TEMPLATE).render(panes=panes)


def _check(blocks: Sequence[Mapping[str, Any]]) -> None:
    known = {"header", "section", "actions", "context", "button", "static_select", "mrkdwn"}
    for block in blocks:
        for one in (block, *block.get("elements", ())):
            if one["type"] not in known:
                raise ValueError(f"the page cannot show {one['type']!r}; teach it in evals/picture/{_TEMPLATE}")


def _mrkdwn(text: str, names: Mapping[str, str]) -> Markup:
    """Slack's mark-up as HTML: bold, mentions, its three entities; everything else is text."""
    parts = _MENTION.split(text)
    shown = [
        f'<span class="mention">@{html.escape(names.get(part, part))}</span>' if index % 2 else _text(part)
        for index, part in enumerate(parts)
    ]
    return Markup("".join(shown))  # noqa: S704 # each part was escaped above


def _text(text: str) -> str:
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return _BOLD.sub(r"<b>\1</b>", html.escape(text))


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
