"""Which models, tiers and speeds answered, and whether anybody had asked for them."""

from collections.abc import Sequence

import numpy as np

from agent.analyst.columns import share
from agent.analyst.leaves import Floats, Leaves, leaves_of, total_by
from agent.analyst.notebook import Datum, Note
from store.model.usage import NONE, Cube

MOVED = 0.05
"""From this change of its share on, a model counts as risen or displaced."""


def look_at_models(now: Cube, before: Sequence[Cube], *, scale: float) -> Note | None:
    """How the mix of answering and requested models moved; None without requests."""
    dims = ("provider", "model", "requested_model", "service_tier", "speed")
    leaves = leaves_of(now, before, dims=dims, measures=("requests",), scale=scale)
    total, earlier = leaves.now.get("requests", np.zeros(1)).sum(), leaves.before.get("requests", np.zeros(1)).sum()
    if total <= 0:
        return None
    mine, usual = _shares(leaves, "model", leaves.now["requests"]), _shares(leaves, "model", leaves.before["requests"])
    has_past = earlier > 0
    change = mine - usual
    moved = bool(has_past and change.max() > MOVED)
    top = int(change.argmax() if moved else mine.argmax())
    name = leaves.values["model"][top]
    provider = leaves.codes["provider"][np.flatnonzero(leaves.codes["model"] == top)[0]]
    data: dict[str, Datum] = {
        "model": name,
        "provider": leaves.values["provider"][provider],
        "model_share_now": float(mine[top]),
        "alias_share_now": _aliased(leaves, leaves.now["requests"]),
        "fast_share_now": _fast(leaves, leaves.now["requests"]),
        "batch_share_now": _share_of(leaves, "service_tier", "batch", leaves.now["requests"]),
    }
    says = f"{name} answered {mine[top]:.0%} of the requests"
    if has_past:
        asked = _shares(leaves, "requested_model", leaves.now["requests"])
        asked_before = _shares(leaves, "requested_model", leaves.before["requests"])
        shift = float(np.abs(change).sum() / 2)
        asked_shift = float(np.abs(asked - asked_before).sum() / 2)
        priority_now = _share_of(leaves, "service_tier", "priority", leaves.now["requests"])
        priority_before = _share_of(leaves, "service_tier", "priority", leaves.before["requests"])
        data |= {
            "model_share_before": float(usual[top]),
            "model_shift": shift,
            "silent_shift": max(0.0, shift - asked_shift),
            "fast_share_rise": max(
                _fast(leaves, leaves.now["requests"]) - _fast(leaves, leaves.before["requests"]),
                priority_now - priority_before,
            ),
        }
        says += f", before {usual[top]:.0%}; what was asked for moved by {asked_shift:.0%}"
        if moved and change.min() < -MOVED:
            data["previous_model"] = leaves.values["model"][int(change.argmin())]
            says += f"; {data['previous_model']} was displaced"
    return Note("mix", says + ".", data)


def _shares(leaves: Leaves, dim: str, requests: Floats) -> Floats:
    counts = total_by(leaves.codes[dim], requests, len(leaves.values[dim]))
    total = counts.sum()
    return np.asarray(counts / total if total else counts, dtype=np.float64)


def _share_of(leaves: Leaves, dim: str, value: str, requests: Floats) -> float:
    names = leaves.values[dim]
    return float(_shares(leaves, dim, requests)[names.index(value)]) if value in names else 0.0


def _fast(leaves: Leaves, requests: Floats) -> float:
    return 1.0 - sum(_share_of(leaves, "speed", usual, requests) for usual in ("standard", NONE))


def _aliased(leaves: Leaves, requests: Floats) -> float:
    asked = np.array(leaves.values["requested_model"], dtype=object)[leaves.codes["requested_model"]]
    got = np.array(leaves.values["model"], dtype=object)[leaves.codes["model"]]
    return share((requests * ((asked != got) & (asked != NONE))).sum(), requests.sum())
