"""The only maker of Block Kit. Pure: plain text in, a message out that Slack accepts and that carries no live text.

Slack's limits: 50 blocks, 3000 characters in a section, 150 in a header, 2000 in a button's value, 150 in an
option's, and about 13,200 in all blocks as JSON. A message here has at most 13 blocks, and TOTAL_CHARS.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from tools.slack.text import bare, safe

TOTAL_CHARS = 13_000
SECTION_CHARS = 3000
HEADER_CHARS = 150
LINE_CHARS = 280
NAME_CHARS = 120
LIST_LINES = 6
FALLBACK_CHARS = 300
MENTIONS = 10

APPROVE, REJECT, UNDO = "bursar_approve", "bursar_reject", "bursar_undo"
REASONS = {
    "expected": "This traffic is expected",
    "cause": "The cause is wrong",
    "risk": "Too risky",
    "ourselves": "We fix it ourselves",
    "later": "Not now",
}
"""Why a proposal is rejected, by the code that the menu carries."""

_USER_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
Block = dict[str, Any]
ButtonKind = Literal["approve", "reject", "undo"]


class Message(NamedTuple):
    """What is posted: blocks, and the line for notifications and for clients without blocks."""

    text: str
    blocks: list[Block]


class Card(NamedTuple):
    """What the thread's first message says, as plain text; "" and () leave a part out.

    `changes`: (before, after) of each action; before "" where nothing is replaced. `target`: REMEDY@REVISION that the
    buttons are about.
    """

    headline: str
    where: str
    cost: str
    cause: str
    status: str
    drivers: tuple[str, ...] = ()
    plan: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    """(label, text): saving, risk, lease, expiry, undo."""
    measured: str = ""
    names: str = ""
    target: str = ""
    buttons: tuple[ButtonKind, ...] = ()
    asked: tuple[str, ...] = ()
    """User ids, from the operator's list, that are mentioned: the only live text that there is."""
    drivers_of: str = ""
    """The excess that the drivers add up to: that of the last investigation, while the headline goes on growing."""


class WeekCard(NamedTuple):
    """What the weekly summary says: figures as (label, value, note), and one line per incident."""

    title: str
    story: str
    figures: tuple[tuple[str, str, str], ...]
    incidents: tuple[str, ...]


def incident_message(card: Card) -> Message:
    """The thread's first message."""
    return _fitting(safe(f"{card.headline}: {card.where}. {card.status}", FALLBACK_CHARS), lambda n: _incident(card, n))


def week_message(card: WeekCard) -> Message:
    """The weekly summary."""
    return _fitting(safe(f"{card.title}: {card.story}", FALLBACK_CHARS), lambda n: _week(card, n))


def note_message(says: str, asked: Sequence[str] = ()) -> Message:
    """One sentence: a reply in a thread, or a message of its own; `asked` as in Card."""
    shown = " ".join([safe(says, 2 * LINE_CHARS), *_mentions(asked)])
    return Message(safe(says, FALLBACK_CHARS), [_section(shown)])


def answer_text(says: str) -> str:
    """What only the person who clicked sees."""
    return safe(says, 2 * LINE_CHARS)


def _fitting(text: str, render: Callable[[int], list[Block]]) -> Message:
    """The blocks at the greatest length that fits; the last one fits by construction."""
    blocks: list[Block] = []
    for divisor in (1, 2, 4, 8):
        blocks = render(divisor)
        if _fits(blocks):
            break
    return Message(text, blocks)


def _fits(blocks: Sequence[Block]) -> bool:
    sections = (len(block["text"]["text"]) for block in blocks if block["type"] == "section")
    return max(sections) <= SECTION_CHARS and len(json.dumps(blocks)) <= TOTAL_CHARS


def _incident(card: Card, divisor: int) -> list[Block]:
    line, name = LINE_CHARS // divisor, NAME_CHARS // divisor
    blocks = [
        _header(card.headline),
        _section(f"*Where* {safe(card.where, name)}\n*Cost* {safe(card.cost, line)}"),
        _section(f"*Cause* {safe(card.cause, line)}"),
    ]
    if card.drivers:
        title = f"*Drivers* of {safe(card.drivers_of, name)} (they add up to it)\n"
        blocks.append(_section(title + _bullets(card.drivers, name)))
    if card.plan:
        changes = [_change(before, after, line) for before, after in card.changes[:3]]
        more = [f"• and {len(card.changes) - 3} more"] if len(card.changes) > 3 else []
        blocks.append(_section("\n".join([f"*Plan* {safe(card.plan, name)}", *changes, *more])))
    if card.terms:
        blocks.append(_section("\n".join(f"*{label}* {safe(text, line)}" for label, text in card.terms[:6])))
    if card.measured:
        blocks.append(_section(f"*Measured* {safe(card.measured, line)}"))
    blocks.append(_section(f"*{safe(card.status, line)}*"))
    if card.buttons:
        blocks.append({"type": "actions", "elements": [_BUTTONS[kind](card.target) for kind in card.buttons]})
    if card.names:
        shown = " · ".join([safe(card.names, name), *_mentions(card.asked)])
        blocks.append({"type": "context", "elements": [_mrkdwn(shown)]})
    return blocks


def _week(card: WeekCard, divisor: int) -> list[Block]:
    line, name = LINE_CHARS // divisor, NAME_CHARS // divisor
    figures = "\n".join(
        f"*{safe(label, 30)}* {safe(value, 40)} ({safe(note, name)})" for label, value, note in card.figures[:6]
    )
    blocks = [_header(card.title), _section(safe(card.story, line))]
    if figures:
        blocks.append(_section(figures))
    if card.incidents:
        blocks.append(_section("*Incidents*\n" + _bullets(card.incidents, name)))
    return blocks


def _change(before: str, after: str, limit: int) -> str:
    return f"• was: {safe(before, limit)}\n   → *{safe(after, limit)}*" if before else f"• {safe(after, limit)}"


def _mentions(user_ids: Sequence[str]) -> list[str]:
    return [f"<@{one}>" for one in user_ids[:MENTIONS] if _USER_ID.fullmatch(one)]


def _bullets(lines: Sequence[str], limit: int) -> str:
    shown = [f"• {safe(line, limit)}" for line in lines[:LIST_LINES]]
    more = [f"• and {len(lines) - LIST_LINES} more"] if len(lines) > LIST_LINES else []
    return "\n".join([*shown, *more])


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain(bare(text, HEADER_CHARS))}


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _mrkdwn(mrkdwn)}


def _mrkdwn(text: str) -> Block:
    """Verbatim: Slack links no name and no address that it finds in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _approve(target: str) -> Block:
    return {"type": "button", "action_id": APPROVE, "style": "primary", "text": _plain("Approve"), "value": target}


def _reject(target: str) -> Block:
    """A menu of reasons: one interaction, so that nothing depends on opening a dialog within three seconds."""
    return {
        "type": "static_select",
        "action_id": REJECT,
        "placeholder": _plain("Reject…"),
        "options": [{"text": _plain(text), "value": f"{target}:{code}"} for code, text in REASONS.items()],
        "confirm": _confirm("Reject this plan?", "Nothing will be changed at the gateway.", "Reject"),
    }


def _undo(target: str) -> Block:
    return {
        "type": "button",
        "action_id": UNDO,
        "style": "danger",
        "text": _plain("Undo"),
        "value": target,
        "confirm": _confirm("Undo this change?", "The gateway gets back the value that it had before.", "Undo"),
    }


def _confirm(title: str, text: str, yes: str) -> Block:
    return {"title": _plain(title), "text": _plain(text), "confirm": _plain(yes), "deny": _plain("Cancel")}


_BUTTONS = {"approve": _approve, "reject": _reject, "undo": _undo}
