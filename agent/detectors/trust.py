"""Whether usage data may be believed: where not, Bursar says so and takes no spend action on that scope."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from store.model.incident import TrustNote
from store.model.money import NANOS_PER_USD, usd_text
from store.model.usage import TOKEN_CLASSES, Cube, Scope, from_us, iso

DIMS = ("source", "provider", "model")
"""What the cubes for these checks are summed over."""
_MIN_SILENCE_BUCKETS = 3
_MIN_ACTIVE_BUCKETS = 24
_SILENCE_FACTOR = 2
_DAY_SECONDS = 86_400
_MATERIAL_NANOS = 5 * NANOS_PER_USD


def unpriced_notes(unpriced: Sequence[tuple[str, str, int, int]]) -> list[TrustNote]:
    """One note for each model that used tokens and has no price; rows as Warehouse.unpriced gives them."""
    return [
        TrustNote(
            scope=Scope.of(provider=provider, model=model),
            kind="unpriced",
            says=f"{records:,} records with {tokens:,} tokens of {provider} {model} have no price: cost is missing",
        )
        for provider, model, records, tokens in unpriced
        if tokens > 0
    ]


def zero_cost_notes(recent: Cube) -> list[TrustNote]:
    """One note for each model that used priced tokens and cost nothing in the whole window of the cube."""
    notes = []
    tokens = sum((recent.measures[name] for name in TOKEN_CLASSES), start=np.zeros(recent.rows, dtype=np.int64))
    for code in np.unique(recent.codes["model"]):
        rows = recent.codes["model"] == code
        used, cost = int(tokens[rows].sum()), int(recent.measures["cost_nanos"][rows].sum())
        if used > 0 and cost == 0 and not recent.measures["unpriced"][rows].any():
            model = recent.values["model"][int(code)]
            says = f"{used:,} tokens of {model} were reported to cost nothing."
            notes.append(TrustNote(scope=Scope.of(model=model), kind="zero_cost", says=says))
    return notes


def silent_notes(history: Cube, *, until: datetime) -> list[TrustNote]:
    """One note for each source that has been silent for twice its longest pause in the cube, at least three buckets."""
    notes = []
    width = history.bucket_seconds
    end = int(until.timestamp()) // width
    for code in np.unique(history.codes["source"]):
        active = np.unique(history.bucket[history.codes["source"] == code]) // width
        active = active[active < end]
        if len(active) < _MIN_ACTIVE_BUCKETS:
            continue
        pause = int(np.diff(active).max()) - 1
        silence = end - 1 - int(active[-1])
        if silence >= max(_MIN_SILENCE_BUCKETS, _SILENCE_FACTOR * pause):
            source = history.values["source"][int(code)]
            last = from_us((int(active[-1]) + 1) * width * 10**6)
            says = f"source {source} has sent nothing since {iso(last)}; its longest pause before was {pause} buckets."
            notes.append(TrustNote(scope=Scope.of(source=source), kind="silent_source", says=says))
    return notes


def disagreement_notes(metered: Cube, reference: Cube, *, share: float) -> list[TrustNote]:
    """One note for each provider whose metered spend is further than `share` from what the reference says.

    Compared over the whole UTC days that both know; differences below 5 USD do not count.
    """
    notes = []
    for code in np.unique(reference.codes["provider"]):
        provider = reference.values["provider"][int(code)]
        scope = Scope.of(provider=provider)
        theirs, ours = reference.take(reference.mask(scope)), metered.take(metered.mask(scope))
        if not ours.rows:
            continue
        first = -(-max(int(theirs.bucket.min()), int(ours.bucket.min())) // _DAY_SECONDS) * _DAY_SECONDS
        last = int(theirs.bucket.max()) // _DAY_SECONDS * _DAY_SECONDS
        if reference.bucket_seconds == _DAY_SECONDS or _daily(theirs):
            last += _DAY_SECONDS
        said, seen = _spent(theirs, first, last), _spent(ours, first, last)
        apart = abs(said - seen)
        if apart >= _MATERIAL_NANOS and apart > share * max(said, seen):
            says = f"{provider}: metered {usd_text(seen)}, but the reference says {usd_text(said)} for the same days."
            notes.append(TrustNote(scope=scope, kind="disagreement", says=says))
    return notes


def _daily(cube: Cube) -> bool:
    return not (cube.bucket % _DAY_SECONDS).any()


def _spent(cube: Cube, first: int, last: int) -> int:
    """Billed nano-USD, or the priced cost where a row was not billed."""
    inside = (cube.bucket >= first) & (cube.bucket < last)
    billed, cost = cube.measures["billed_nanos"][inside], cube.measures["cost_nanos"][inside]
    return int(np.where(billed > 0, billed, cost).sum())
