"""The prompt cache: hits, writes, lifetimes, and prefixes that change from call to call."""

from collections.abc import Sequence

import numpy as np

from agent.analyst.columns import Calls, percentile, share
from agent.analyst.leaves import Floats
from agent.analyst.notebook import Datum, Note
from store.model.usage import Cube

SHORT_LIFE = 300
"""Seconds that the shorter of the two cache lifetimes lasts."""
_KINDS = {
    "tool_order": "the order of the tools",
    "tools": "the tools",
    "clock": "a time or a date",
    "id": "an id",
    "number": "a number",
    "text": "its words",
}
SILENT = 0.01
"""Below this share of the input, cache reads and writes count as none."""


def look_at_cache(now: Cube, before: Sequence[Cube]) -> Note | None:
    """Cache classes as shares of the input, now and before; None where there was no input."""
    mine, usual = _classes([now]), _classes(before)
    if not mine:
        return None
    data: dict[str, Datum] = {
        "cache_hit_ratio_now": mine["hit"],
        "cache_write_share_now": mine["write"],
        "cache_silent": mine["hit"] + mine["write"] < SILENT,
    }
    if usual:
        data["cache_hit_ratio_before"] = usual["hit"]
        data["cache_hit_drop"] = usual["hit"] - mine["hit"]
        if usual["reads_per_call"]:
            data["cache_read_ratio"] = mine["reads_per_call"] / usual["reads_per_call"]
        data["cache_write_rise"] = mine["write"] - usual["write"]
        data["cache_use_before"] = usual["hit"] + usual["write"]
        data["cache_1h_drop"] = usual["hour"] - mine["hour"] if usual["write"] and mine["write"] else 0.0
    earlier = f" (before {usual['hit']:.0%} and {usual['write']:.0%})" if usual else ""
    says = f"{mine['hit']:.0%} of the input came from the cache and {mine['write']:.0%} was written to it{earlier}."
    return Note("cache", says, data)


def look_at_prefixes(now: Calls, before: Calls) -> Note | None:
    """How often an app's prompt prefix differs from that of its previous call; None without prefix hashes."""
    changes = _changes(now)
    if changes is None:
        return None
    usual = _changes(before)
    sizes, gaps = now.number("prefix_tokens"), _gaps(now)
    data: dict[str, Datum] = {
        "prefix_changes_share": changes,
        "prefix_tokens": int(percentile(sizes[sizes > 0], 50)),
        "reuse_gap_seconds_p50": percentile(gaps, 50),
    }
    if usual is not None:
        data["prefix_changes_rise"] = changes - usual
    where = _break(now)
    if where is not None:
        data["prefix_break_offset"], data["prefix_break_kind"] = where
    lives = []
    for name, late, when in (("late_hits_drop", True, "over"), ("early_hits_drop", False, "within")):
        mine, theirs = _hits(now, late=late), _hits(before, late=late)
        if mine is not None and theirs is not None:
            data[name] = theirs - mine
            lives.append(f"{mine:.0%} of the calls {when} five minutes after the one before (before {theirs:.0%})")
    read = f" The cache was read by {' and by '.join(lives)}." if lives else ""
    earlier = f" (before {usual:.0%})" if usual is not None else ""
    if where is not None:
        read = f" It first differs about {where[0]:,} tokens in, mostly by {_KINDS[where[1]]}.{read}"
    says = f"The prompt prefix differed from the app's previous call in {changes:.0%} of the calls{earlier}.{read}"
    return Note("traces", says, data)


def _classes(cubes: Sequence[Cube]) -> dict[str, float]:
    total = {
        name: sum(cube.total(name) for cube in cubes)
        for name in ("requests", "input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    }
    requests = total.pop("requests")
    whole = sum(total.values())
    if not whole:
        return {}
    written = total["cache_write_5m"] + total["cache_write_1h"]
    return {
        "hit": share(total["cache_read"], whole),
        "write": share(written, whole),
        "reads_per_call": share(total["cache_read"], requests),
        "hour": share(total["cache_write_1h"], written),
    }


def _changes(calls: Calls) -> float | None:
    if not calls.rows:
        return None
    prefixes, apps = calls.text("prefix_hash"), calls.text("app").codes
    keep = np.flatnonzero(prefixes.known())
    order = keep[np.lexsort((calls.micros()[keep], apps[keep]))]
    same_app = apps[order][1:] == apps[order][:-1]
    differs = prefixes.codes[order][1:] != prefixes.codes[order][:-1]
    return share((same_app & differs).sum(), same_app.sum()) if same_app.any() else None


def _break(calls: Calls) -> tuple[int, str] | None:
    """The place in tokens (median) and kind of the prefix breaks that the guard saw most; None: it saw none."""
    if not calls.rows:
        return None
    kinds = calls.text("prefix_break_kind")
    known = np.flatnonzero(kinds.known())
    if not len(known):
        return None
    counts = np.bincount(kinds.codes[known], minlength=len(kinds.values))
    most = int(counts.argmax())
    at = calls.number("prefix_break_at")[known][kinds.codes[known] == most]
    return (int(percentile(at, 50)), kinds.values[most]) if kinds.values[most] in _KINDS else None


def _hits(calls: Calls, *, late: bool) -> float | None:
    """The share of calls that read the cache, of those that came late (after the short life) or early; None: none."""
    if not calls.rows:
        return None
    apps, at = calls.text("app").codes, calls.micros()
    order = np.lexsort((at, apps))
    waited = np.diff(at[order]) / 1e6 > SHORT_LIFE
    asked = (apps[order][1:] == apps[order][:-1]) & (waited == late)
    read = (calls.number("cache_read") > 0)[order][1:]
    return share((asked & read).sum(), asked.sum()) if asked.any() else None


def _gaps(calls: Calls) -> Floats:
    """Seconds between an app's calls, the time after which its prefix could be read again."""
    apps, at = calls.text("app").codes, calls.micros()
    order = np.lexsort((at, apps))
    seconds = np.diff(at[order]) / 1e6
    return np.asarray(seconds[apps[order][1:] == apps[order][:-1]], dtype=np.float64)
