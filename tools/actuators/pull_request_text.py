"""Descriptions of pull requests and issues: our marker at their end, and text that does no harm at a code host."""

import json
import re

from store.model.canonical import canonical_json, digest
from store.model.remedy import OpenIssue, OpenPullRequest, Settings
from store.model.usage import iso
from tools.actuators.admin_api import Json
from tools.actuators.slots import Mark, when

_BRANCHES = "bursar/"
_MARK = re.compile(r"\n*<!-- bursar (\{[^\n]*\}) -->\s*\Z")
RETURNED = "\n\n<!-- bursar has taken this back -->"


def slot_of(action: OpenPullRequest | OpenIssue) -> str:
    """What tells one pull request or issue from another: the file, or the title."""
    what = action.path if isinstance(action, OpenPullRequest) else action.title
    return digest([action.kind, action.repository, what])[:16]


def branch_of(action: OpenPullRequest | OpenIssue) -> str:
    """The branch of its own that a change goes to."""
    return _BRANCHES + slot_of(action)


def harmless(text: str) -> str:
    """A description that mentions nobody, commands nothing (GitLab obeys lines such as "/close") and hides nothing."""
    quiet = text.replace("\r\n", "\n").replace("<!--", "&lt;!--").replace("@", "@\u200b")
    return re.sub(r"(?m)^(\s*)/", "\\1\u200b/", quiet)


def marked(action: OpenPullRequest | OpenIssue, mark: Mark) -> str:
    """The marker at the end of a description."""
    kept = {"slot": slot_of(action), "remedy": mark.remedy, "at": iso(mark.at), "ends": iso(mark.ends)}
    return f"\n\n<!-- bursar {canonical_json({**kept, 'set': digest(mark.value)})} -->"


def kept_in(body: str) -> Json:
    """What our marker at the end of a description says; {} where there is none, or a person has damaged it."""
    found = _MARK.search(body.replace("\r\n", "\n"))
    try:
        kept = json.loads(found[1]) if found else {}
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def mark_in(kept: Json, value: Settings) -> Mark | None:
    """The mark that a marker stands for, where it holds one."""
    try:
        at, ends = (when(kept[name]) for name in ("at", "ends"))
        remedy = str(kept["remedy"])
    except (KeyError, TypeError, ValueError):
        return None
    # The marker knows only the digest of what was set: any other value is somebody else's.
    return Mark(remedy, value if digest(value) == kept.get("set") else {"set": "by us, and changed since"}, at, ends)


def without_mark(body: str) -> str:
    """A description without our marker."""
    return _MARK.sub("", body.replace("\r\n", "\n"))
