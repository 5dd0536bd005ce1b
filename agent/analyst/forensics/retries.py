"""Retries: failures, attempts for each success, and prompts that come again and again."""

import numpy as np

from agent.analyst.columns import Calls, share
from agent.analyst.notebook import Datum, Note


def look_at_retries(now: Calls, before: Calls) -> Note | None:
    """Attempts per success, error share and unique prompts, now and normally; None without calls.

    Calls that a remedy of ours refused are left out.
    """
    if not now.rows:
        return None
    mine, usual = _measure(now), _measure(before) if before.rows else {}
    data: dict[str, Datum] = {
        "attempts_per_success_now": mine["attempts"],
        "error_share_now": mine["errors"],
        "retry_share": mine["retries"],
    }
    if "unique" in mine:
        data["unique_prompt_share"] = mine["unique"]
    if usual:
        data["attempts_per_success_normal"] = usual["attempts"]
        data["attempts_ratio"] = mine["attempts"] / usual["attempts"]
        data["error_share_normal"] = usual["errors"]
        data["error_share_rise"] = mine["errors"] - usual["errors"]
        data["retry_share_rise"] = mine["retries"] - usual["retries"]
    if "unique" in mine and "unique" in usual:
        data["unique_prompt_drop"] = usual["unique"] - mine["unique"]
    before_text = f" (normally {usual['attempts']:.2f})" if usual else ""
    says = (
        f"{mine['attempts']:.2f} attempts for each success{before_text}; {mine['errors']:.0%} of the calls failed and"
        f" {mine['retries']:.0%} were retries."
    )
    return Note("traces", says, data)


def _measure(calls: Calls) -> dict[str, float]:
    requests = calls.number("requests") * ~calls.where("status", "refused")
    total = float(requests.sum())
    good = float((requests * calls.where("status", "ok")).sum())
    found = {
        # Where nothing succeeds, every call is an attempt at one success that is still to come.
        "attempts": max(1.0, total / max(good, 1.0)),
        "errors": share(total - good, total),
        "retries": share((requests * (calls.number("attempt") > 1)).sum(), total),
    }
    prompts = calls.text("prompt_hash")
    known = prompts.known() & (requests > 0)
    if known.any():
        found["unique"] = share(len(np.unique(prompts.codes[known])), known.sum())
    return found
