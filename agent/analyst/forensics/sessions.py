"""Sessions: one that runs far longer than others, repeats itself, grows, alternates or fans out."""

import numpy as np
import numpy.typing as npt

from agent.analyst.columns import Calls, percentile, share
from agent.analyst.leaves import Codes, Floats, total_by
from agent.analyst.notebook import Datum, Note
from store.model.money import usd_text


def look_at_sessions(now: Calls, before: Calls) -> Note | None:
    """The dearest session of the window against what sessions are like in the reference; None without sessions."""
    known = now.text("session_id").known() if now.rows else np.zeros(0, dtype=np.bool_)
    if not known.any():
        return None
    sessions = now.text("session_id")
    cost = total_by(sessions.codes, now.number("cost_nanos") * known)
    calls = total_by(sessions.codes, now.number("requests") * known)
    top = int(np.argmax(cost)) if cost.max() > 0 else int(np.argmax(calls))
    mine = sessions.codes == top
    normal = _calls_per_session(before)
    if len(normal) == 0:
        normal = np.delete(calls[calls > 0], np.argmax(calls[calls > 0]))
    usual = max(1.0, percentile(normal, 99))
    data: dict[str, Datum] = {
        "session_id": sessions.values[top],
        "session_calls": int(calls[top]),
        "session_nanos": int(cost[top]),
        "session_calls_p99_normal": usual,
        "session_calls_ratio": float(calls[top]) / usual,
        "session_spend_share": share(cost[top], now.number("cost_nanos").sum()),
        **_shape(now, mine),
        **_parallel(now, before),
    }
    says = (
        f"The dearest session made {int(calls[top]):,} calls for {usd_text(int(cost[top]))}; 99 of 100 sessions make"
        f" at most {usual:,.0f}. {data['repeated_call_share']:.0%} of its calls repeat an earlier prompt, and its"
        f" input grew at {data['context_growth_share']:.0%} of its steps."
    )
    return Note("traces", says, data)


def _calls_per_session(calls: Calls) -> Floats:
    if not calls.rows:
        return np.zeros(0)
    sessions = calls.text("session_id")
    counts = total_by(sessions.codes, calls.number("requests") * sessions.known())
    return np.asarray(counts[counts > 0], dtype=np.float64)


def _shape(calls: Calls, mine: npt.NDArray[np.bool_]) -> dict[str, Datum]:
    """How the calls of one session follow each other."""
    order = np.argsort(calls.micros()[mine], kind="stable")
    hashes = calls.text("prompt_hash")
    prompts, known = hashes.codes[mine][order], hashes.known()[mine]
    apps = calls.text("app").codes[mine][order]
    steps = np.diff(_levels(calls.input()[mine][order]))
    return {
        "repeated_call_share": 1 - share(len(np.unique(prompts[known[order]])), known.sum()) if known.any() else 0.0,
        "context_growth_share": share((steps > 0).sum(), len(steps)),
        "ping_pong_share": max(_alternating(prompts) if known.all() else 0.0, _alternating(apps)),
    }


def _levels(sizes: Floats) -> Floats:
    """Means of twelfths of a long session, so that a trend shows through the noise of single calls."""
    return sizes if len(sizes) < 36 else np.array([part.mean() for part in np.array_split(sizes, 12)])


def _alternating(codes: Codes) -> float:
    """The share of calls that equal the last but one and differ from the last: A, B, A, B."""
    if len(codes) < 3:
        return 0.0
    return float(np.mean((codes[2:] == codes[:-2]) & (codes[2:] != codes[1:-1])))


def _parallel(now: Calls, before: Calls) -> dict[str, Datum]:
    peaks_now, peaks_before = peak_parallel(now), peak_parallel(before)
    if len(peaks_now) == 0 or len(peaks_before) == 0:
        return {}
    high, usual = percentile(peaks_now, 95), max(1.0, percentile(peaks_before, 95))
    return {"parallel_calls_now": high, "parallel_calls_normal": usual, "parallel_ratio": high / usual}


def peak_parallel(calls: Calls) -> Floats:
    """The most calls that ran at the same time, per session; a call runs from its end less its latency to its end."""
    if not calls.rows:
        return np.zeros(0)
    sessions = calls.text("session_id")
    keep = sessions.known()
    group, end = sessions.codes[keep], calls.micros()[keep]
    start = end - (calls.number("latency_ms")[keep] * 1000).astype(np.int64)
    change = np.repeat([1, -1], len(group))
    # At one instant ends come before starts, so that back-to-back calls do not count as parallel.
    order = np.lexsort((change, np.concatenate([start, end]), np.tile(group, 2)))
    running = np.cumsum(change[order])
    owner = np.tile(group, 2)[order]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    return np.maximum.reduceat(running, first).astype(np.float64) if len(first) else np.zeros(0)
