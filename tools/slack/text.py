"""Text that came from traffic, made harmless for Slack: no mention, link, tag, format, or hidden character.

Slack reads `<...>` as mentions and links, wants `& < >` as entities, and links bare addresses. Its formatting has no
escape, so characters that format are replaced by look-alikes. Only the copy that is shown changes.
"""

import re
import unicodedata

_LOOK_ALIKE = str.maketrans(
    {
        "`": "ˋ",  # code
        "*": "∗",  # bold
        "~": "∼",  # struck out
        "#": "＃",  # a channel
        "|": "¦",  # the label of a link
    }
)
_MENTION = re.compile(r"(?<!\w)@|@(?!\d)")
"""REMEDY@REVISION stays, so that it can be copied to the command line."""
_LONE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ADDRESS = re.compile(r":(?=//)|(?<=mailto):", re.IGNORECASE)
_HOST_DOT = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2,})|(?<=www)\.", re.IGNORECASE)
_EMOJI = re.compile(r"(?<!\d):(?=[\w+-]+:)")
"""Not within a time of day."""
_MARKS = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3,}")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def safe(text: str, limit: int) -> str:
    """One line of at most `limit` characters as people see them; at most 5 times as many, since `&` becomes `&amp;`.

    Text that is cut ends in "…"; text of which nothing is left becomes "(empty)".
    """
    line = _line(text, limit).translate(_LOOK_ALIKE)
    line = _LONE_UNDERSCORE.sub("ˍ", _MENTION.sub("＠", line))
    line = _HOST_DOT.sub("․", _ADDRESS.sub("∶", line))
    return entities(_EMOJI.sub("∶", line))


def bare(text: str, limit: int) -> str:
    """The same for Slack's plain text, which formats nothing and has no entities."""
    line = _line(text, limit).translate({ord("@"): "＠", ord("<"): "‹", ord(">"): "›", ord("&"): "＆"})
    return _HOST_DOT.sub("․", _ADDRESS.sub("∶", line))


def entities(text: str) -> str:
    """The three characters that Slack gives a meaning."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(text: str, limit: int) -> str:
    head = text[: 8 * limit]
    seen = "".join(" " if one.isspace() else one for one in head if one.isspace() or _is_seen(one))
    line = " ".join(_MARKS.sub("", seen).split())
    if len(line) > limit or len(head) < len(text):
        line = line[: limit - 1].rstrip() + "…"
    return line or "(empty)"


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN
