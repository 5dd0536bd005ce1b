"""What Slack accepts of a message, as strictly as Slack: limits of Block Kit and of the message itself."""

import json
import re
from collections.abc import Collection
from typing import Any

TEXT_CHARS = 40_000
BLOCKS_CHARS = 13_200
_BLOCK_KEYS = {
    "header": {"type", "text", "block_id"},
    "section": {"type", "text", "block_id", "fields", "accessory"},
    "context": {"type", "elements", "block_id"},
    "actions": {"type", "elements", "block_id"},
    "divider": {"type", "block_id"},
}
_LIVE = re.compile(r"[<>]|&(?!(?:amp|lt|gt);)")
_MENTION = re.compile(r"@(?:channel|here|everyone)\b|https?://|www\.", re.IGNORECASE)


class Rejected(Exception):
    """Why a message is not accepted; `code` as Slack names it."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


def check_message(text: str, blocks: list[dict[str, Any]]) -> None:
    """Raise Rejected where Slack would refuse the message."""
    if not text and not blocks:
        raise Rejected("no_text", "neither text nor blocks")
    if len(text) > TEXT_CHARS:
        raise Rejected("msg_too_long", f"{len(text)} characters")
    if len(blocks) > 50:
        raise Rejected("invalid_blocks", f"{len(blocks)} blocks")
    for block in blocks:
        _check_block(block)
    if len(json.dumps(blocks)) > BLOCKS_CHARS:
        raise Rejected("msg_blocks_too_long", f"{len(json.dumps(blocks))} characters")
    ids = [one["action_id"] for block in blocks if block["type"] == "actions" for one in block["elements"]]
    _need(len(set(ids)) == len(ids), f"action ids twice: {ids}")


def live_text(text: str, blocks: list[dict[str, Any]], *, known: Collection[str] = ()) -> list[str]:
    """Every text that Slack would turn into a mention of others than `known`, a link or a tag."""
    mention = re.compile("|".join(f"<@{one}>" for one in known) or "(?!)")
    shown = [mention.sub("", one) for one in [text, *_texts(blocks)]]
    return [one for one in shown if _LIVE.search(one) or _MENTION.search(one)]


def _check_block(block: dict[str, Any]) -> None:
    kind = block.get("type")
    _need(kind in _BLOCK_KEYS, f"unknown block {kind}")
    _need(set(block) <= _BLOCK_KEYS[str(kind)], f"unknown keys in {kind}: {sorted(block)}")
    if kind == "header":
        _text(block["text"], 150, "plain_text")
    elif kind == "section":
        _text(block["text"], 3000)
    elif kind == "context":
        _need(1 <= len(block["elements"]) <= 10, "context elements")
        for one in block["elements"]:
            _text(one, 3000)
    elif kind == "actions":
        _need(1 <= len(block["elements"]) <= 25, "action elements")
        for one in block["elements"]:
            _element(one)


def _element(one: dict[str, Any]) -> None:
    _need(1 <= len(one["action_id"]) <= 255, "action_id")
    if one["type"] == "button":
        _text(one["text"], 75, "plain_text")
        _need(len(one.get("value", "")) <= 2000, "value")
        _need(one.get("style", "primary") in {"primary", "danger"}, "style")
    else:
        _need(one["type"] == "static_select", f"unknown element {one['type']}")
        _text(one["placeholder"], 150, "plain_text")
        _need(1 <= len(one["options"]) <= 100, "options")
        for option in one["options"]:
            _text(option["text"], 75, "plain_text")
            _need(1 <= len(option["value"]) <= 150, "option value")
    if "confirm" in one:
        for part, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            _text(one["confirm"][part], most)


def _text(text: dict[str, Any], most: int, kind: str | None = None) -> None:
    _need(text["type"] in {"plain_text", "mrkdwn"} and kind in {None, text["type"]}, f"text type {text['type']}")
    _need(1 <= len(text["text"]) <= most, f"text of {len(text['text'])} characters, at most {most}")


def _need(holds: bool, why: str) -> None:
    if not holds:
        raise Rejected("invalid_blocks", why)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for name, part in value.items() if name != "value" for text in _texts(part)]
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else []
