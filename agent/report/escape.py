"""Text that came from traffic (teams, sessions, reasons) made harmless before people or programs read it.

Markdown has no escape that Slack, GitHub and mail all understand: a backslash is shown by Slack, an entity by mail.
So characters with a meaning are replaced by look-alikes without one. Only the copy that is shown changes.
"""

import re
import unicodedata

NAME_CHARS = 64
"""The most that is shown of a name: a team, a session, a person."""

SENTENCE_CHARS = 280
"""The most that is shown of a sentence: a reason, a note."""

_MEANS_NOTHING = str.maketrans(
    {
        "|": "¦",  # ends a table cell
        "`": "ˋ",  # code
        "<": "‹",  # a tag, a Slack mention, an autolink
        ">": "›",  # a quote
        "@": "＠",  # a mention
        "#": "＃",  # a heading, a channel, an issue
        "*": "∗",  # bold
        "~": "∼",  # struck out
        "[": "［",  # a link
        "]": "］",
        "\\": "⧵",  # would escape what follows it, such as the border of a table cell
    }
)
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LONE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ADDRESS = re.compile(r":(?=//)")
_WEB_HOST = re.compile(r"\bwww\.", re.IGNORECASE)
_MARKS = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3,}")


def plain(text: str, *, limit: int) -> str:
    """One line of at most `limit` characters without control, invisible or direction-changing characters.

    Text that is cut ends in "…"; text of which nothing is left becomes "(empty)". Not safe for HTML or
    Markdown by itself.
    """
    head = text[: 8 * limit]
    seen = "".join(" " if character.isspace() else character for character in head if _visible(character))
    line = " ".join(_MARKS.sub("", seen).split())
    if len(line) > limit or len(head) < len(text):
        line = line[: limit - 1].rstrip() + "…"
    return line or "(empty)"


def markdown(text: str, *, limit: int) -> str:
    """The line as Slack, GitHub and mail all show it: no tag, mention, link, emphasis, code or table border."""
    line = plain(text, limit=limit).translate(_MEANS_NOTHING)
    line = _LONE_UNDERSCORE.sub("ˍ", _ENTITY.sub("＆", line))
    return _WEB_HOST.sub("www․", _ADDRESS.sub("∶", line))


def _visible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
