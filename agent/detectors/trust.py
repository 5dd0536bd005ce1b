"""Whether usage data may be believed: where not, Bursar says so and takes no spend action on that scope."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from store.model.incident import TrustNote
from store.model.model_name import plain_model
from store.model.money import NANOS_PER_USD, usd_text
from store.model.usage import NONE, TOKEN_CLASSES, Cube, Scope, from_us, iso

DIMS = ("source", "provider", "model")
"""What the cubes for these checks are summed over."""
PRICED_BY = ("provider", "model", "service_tier", "speed")
"""What one price belongs to; the cube for `missing_cost_notes` is summed over these."""
_WEIGHTS = np.array([1.0, 0.1, 1.25, 2.0, 5.0])
"""What a token of each class usually costs, in uncached input tokens: a better cache is no missing cost."""
_MISSING_SHARE = 0.2
_MIN_SILENCE_BUCKETS = 3
_MIN_ACTIVE_BUCKETS = 24
_SILENCE_FACTOR = 2
_DAY_SECONDS = 86_400
_MATERIAL_NANOS = 5 * NANOS_PER_USD
_MIN_EQUAL_HOURS = 6
_EQUAL_SHARE = 0.8


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
    tokens = _tokens(recent)
    for code in np.unique(recent.codes["model"]):
        rows = recent.codes["model"] == code
        used, cost = int(tokens[rows].sum()), int(recent.measures["cost_nanos"][rows].sum())
        if used > 0 and cost == 0 and not recent.measures["unpriced"][rows].any():
            model = recent.values["model"][int(code)]
            says = f"{used:,} tokens of {model} were reported to cost nothing."
            notes.append(TrustNote(scope=Scope.of(model=model), kind="zero_cost", says=says))
    return notes


def missing_cost_notes(history: Cube, *, since: datetime) -> list[TrustNote]:
    """One note for each model whose tokens have cost far less since then than before, at the same tier and speed.

    Told from 5 USD and a fifth of what they used to cost; tokens are weighted by class, so that caching does not count.
    `history` is summed over PRICED_BY. Where nothing was paid at all, `zero_cost_notes` says so; where
    a price is missing, `unpriced_notes` does.
    """
    late = history.bucket >= int(since.timestamp())
    weighed = np.stack([history.measures[name] for name in TOKEN_CLASSES], axis=1) @ _WEIGHTS
    cost = history.measures["cost_nanos"]
    keys = np.stack([history.codes[name] for name in PRICED_BY], axis=1)
    notes = []
    for key in np.unique(keys[late], axis=0):
        rows = (keys == key).all(axis=1)
        usual, used = weighed[rows & ~late].sum(), weighed[rows & late].sum()
        if usual <= 0 or used <= 0 or history.measures["unpriced"][rows & late].any():
            continue
        should, did = float(cost[rows & ~late].sum()) / usual * used, int(cost[rows & late].sum())
        if did and should - did >= max(_MATERIAL_NANOS, _MISSING_SHARE * should):
            provider, model = history.values["provider"][int(key[0])], history.values["model"][int(key[1])]
            says = (
                f"{model}: {usd_text(did)} for tokens that used to cost {usd_text(round(should))}; "
                "the cost of some calls is missing, or the price fell."
            )
            notes.append(TrustNote(scope=Scope.of(provider=provider, model=model), kind="zero_cost", says=says))
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
        theirs = _one_source(theirs)
        first, last = _common_days(ours, theirs)
        said, seen = _spent(theirs, first, last), _spent(ours, first, last)
        apart = abs(said - seen)
        if apart >= _MATERIAL_NANOS and apart > share * max(said, seen):
            says = f"{provider}: metered {usd_text(seen)}, but the reference says {usd_text(said)} for the same days."
            notes.append(TrustNote(scope=scope, kind="disagreement", says=says))
    return notes


def token_notes(metered: Cube, reference: Cube, *, share: float) -> list[TrustNote]:
    """One note for each metered model whose tokens are further than `share` from what the reference counted.

    Compared over the whole UTC days that both know; the gap counts from 5 USD on, at the model's average cost.
    """
    notes = []
    for code in np.unique(reference.codes["provider"]):
        provider = reference.values["provider"][int(code)]
        scope = Scope.of(provider=provider)
        theirs, ours = reference.take(reference.mask(scope)), metered.take(metered.mask(scope))
        counted = _tokens(theirs) > 0
        if not ours.rows or not counted.any():
            continue
        theirs = _one_source(theirs.take(counted))
        span = _common_days(ours, theirs)
        said, seen = _by_model(theirs, span), _by_model(ours, span)
        for plain in sorted(said.keys() & seen.keys()):
            (tokens_said, _, _), (tokens_seen, nanos, names) = said[plain], seen[plain]
            apart, whole = abs(tokens_said - tokens_seen), max(tokens_said, tokens_seen)
            if apart > share * whole and nanos * apart >= _MATERIAL_NANOS * tokens_seen:
                says = (
                    f"{plain}: metered {tokens_seen:,} tokens, but {provider} counted {tokens_said:,} on the same days."
                )
                notes += [
                    TrustNote(scope=Scope.of(provider=provider, model=name), kind="disagreement", says=says)
                    for name in sorted(names)
                ]
    return notes


def reported_twice_notes(recent: Cube) -> list[TrustNote]:
    """One note for each metered source that reports, hour by hour, the very tokens that another one reports."""
    used: dict[str, dict[tuple[str, str, int], int]] = {}
    for at, tokens in enumerate(_tokens(recent).tolist()):
        source, provider, model = (recent.values[name][recent.codes[name][at]] for name in DIMS)
        if tokens:
            used.setdefault(source, {})[provider, plain_model(model), int(recent.bucket[at])] = tokens
    notes = []
    for later, source in enumerate(names := sorted(used)):
        for other in names[:later]:
            mine, theirs = used[source], used[other]
            both = mine.keys() & theirs.keys()
            equal = sum(mine[place] == theirs[place] for place in both)
            if equal >= _MIN_EQUAL_HOURS and equal >= _EQUAL_SHARE * min(len(mine), len(theirs)):
                says = f"sources {other} and {source} report the same calls: {equal} hours are equal to the token."
                notes.append(TrustNote(scope=Scope.of(source=source), kind="reported_twice", says=says))
    return notes


_ModelUse = tuple[int, int, set[str]]
"""Tokens, nano-USD, and the names that the model goes by."""


def _by_model(cube: Cube, span: tuple[int, int]) -> dict[str, _ModelUse]:
    found: dict[str, _ModelUse] = {}
    tokens, cost = _tokens(cube), cube.measures["cost_nanos"]
    inside = (cube.bucket >= span[0]) & (cube.bucket < span[1])
    for code, name in enumerate(cube.values["model"]):
        rows = inside & (cube.codes["model"] == code)
        if rows.any():
            known, nanos, names = found.get(plain_model(name), (0, 0, set()))
            used = (known + int(tokens[rows].sum()), nanos + int(cost[rows].sum()), {*names, name})
            found[plain_model(name)] = used
    return found


def _tokens(cube: Cube) -> npt.NDArray[np.int64]:
    return sum((cube.measures[name] for name in TOKEN_CLASSES), start=np.zeros(cube.rows, dtype=np.int64))


def _common_days(ours: Cube, theirs: Cube) -> tuple[int, int]:
    """The whole UTC days that both know, from and to in epoch seconds."""
    first = -(-max(int(theirs.bucket.min()), int(ours.bucket.min())) // _DAY_SECONDS) * _DAY_SECONDS
    last = int(theirs.bucket.max()) // _DAY_SECONDS * _DAY_SECONDS
    whole = theirs.bucket_seconds == _DAY_SECONDS or _daily(theirs)
    return first, last + _DAY_SECONDS if whole else last


def _daily(cube: Cube) -> bool:
    return not (cube.bucket % _DAY_SECONDS).any()


def _one_source(cube: Cube) -> Cube:
    """Of several sources that report one provider the one that reports the most: two reports are not two usages."""
    rows = np.bincount(cube.codes["source"], minlength=len(cube.values["source"]))
    return cube.take(cube.codes["source"] == int(rows.argmax()))


def _spent(cube: Cube, first: int, last: int) -> int:
    """Billed nano-USD, or the priced cost where a row was not billed.

    A bill that names no models stands for all usage beside it.
    """
    inside = (cube.bucket >= first) & (cube.bucket < last)
    billed, cost = cube.measures["billed_nanos"][inside], cube.measures["cost_nanos"][inside]
    nameless = np.array([name == NONE for name in cube.values["model"]], dtype=np.bool_)[cube.codes["model"][inside]]
    if (billed[nameless] > 0).any():
        return int(billed.sum())
    return int(np.where(billed > 0, billed, cost).sum())
