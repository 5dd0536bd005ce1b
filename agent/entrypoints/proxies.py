"""What the proxies with the guard inside say of themselves, for `bursar status` and `bursar check --online`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict

from agent.settings import Settings
from store.ledger.guard_values import SeenProxy
from store.ledger.ledger import Ledger
from store.model.usage import iso
from tools.actuators.guard import POLLS
from tools.actuators.guard_rules import REISSUE_AFTER


class GuardDocument(TypedDict):
    """The guard's part of `bursar status --json`."""

    rule_set: int
    live: int
    current: int
    proxies: list["ProxyDocument"]


class ProxyDocument(TypedDict):
    """One live proxy. `part`: the share of each rate limit that it grants, "1/3". `calls`: seen, changed, refused,
    errors and dropped, since its process started.
    """

    proxy: str
    seen_at: str
    current: bool
    why_not: str | None
    part: str
    guard: str
    litellm: str
    calls: dict[str, int]


def guard_document(settings: Settings, *, ledger: Ledger, now: datetime) -> GuardDocument | None:
    """The live proxies, and how many of them carry out the rules as they are now; None where `guard:` is not set.

    A proxy is live if it reported within three polls, and current if it holds the rule set of the newest sequence, is
    not switched off, and refuses no rule of it.
    """
    if settings.guard is None:
        return None
    live, sequence = _live(settings.guard.poll_seconds, ledger, now)
    proxies: list[ProxyDocument] = [
        {
            "proxy": one.report.proxy_id,
            "seen_at": iso(one.seen_at),
            "current": _against(one, sequence) is None,
            "why_not": _against(one, sequence),
            "part": f"1/{one.report.part[1]}",
            "guard": one.report.version,
            "litellm": one.report.litellm,
            "calls": one.report.counters,
        }
        for one in live
    ]
    current = sum(one["current"] for one in proxies)
    return {"rule_set": sequence, "live": len(live), "current": current, "proxies": proxies}


def guard_lines(document: GuardDocument | None) -> list[str]:
    """The document for people: how many carry out the rules, then each proxy."""
    if document is None:
        return ["not configured"]
    if not document["live"]:
        return [f"no proxy reports; the rule set is {document['rule_set']}"]
    covers = f"{document['current']} of {document['live']} live proxies carry out rule set {document['rule_set']}"
    proxies = [
        f"{one['proxy']} ({one['why_not'] or 'current'}): "
        + (", ".join(f"{count} {name}" for name, count in one["calls"].items()) or "no calls counted")
        for one in document["proxies"]
    ]
    return [covers, *proxies]


def guard_state(settings: Settings, *, ledger: Ledger, now: datetime) -> str | None:
    """The same in a line: "ok, ...", or what is wrong; None where `guard:` is not set."""
    if settings.guard is None:
        return None
    live, sequence = _live(settings.guard.poll_seconds, ledger, now)
    if not live:
        return "no proxy reports; is `bursar serve` running, the guard mounted, its url and token right?"
    wrong = [f"proxy {one.report.proxy_id} {why}" for one in live if (why := _against(one, sequence))]
    return "; ".join(wrong) or f"ok, {len(live)} live, all hold rule set {sequence}"


def _live(poll_seconds: int, ledger: Ledger, now: datetime) -> tuple[Sequence[SeenProxy], int]:
    since = now - timedelta(seconds=POLLS * poll_seconds)
    return ledger.guard_proxies(since=since), ledger.guard_issue(reissue_after=REISSUE_AFTER).sequence


def _against(proxy: SeenProxy, sequence: int) -> str | None:
    """Why not all rules are carried out there. Sets of one sequence hold the same rules, whenever they were issued."""
    report = proxy.report
    if report.off:
        return "is switched off by its operator"
    if report.sequence != sequence:
        return f"holds rule set {report.sequence}, not {sequence}" if report.sequence is not None else "holds no rules"
    refused = [f"{rule.remedy_id}: {rule.why}" for rule in report.refused_rules]
    return f"will not follow {'; '.join(refused)}" if refused else None
