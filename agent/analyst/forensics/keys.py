"""A key that behaves like another person's: models, regions, environments, users and hours not seen before."""

from collections.abc import Collection

import numpy as np

from agent.analyst.case import KeyPast
from agent.analyst.columns import Calls, Coded, share
from agent.analyst.leaves import Floats, total_by
from agent.analyst.notebook import Datum, Note
from store.model.money import usd_text
from store.model.usage import NONE, Scope

NEW = 0.05
"""From this share of its calls on, a thing that was not seen before counts as new behaviour."""

QUIET = 0.25
"""An hour of the day with less than this share of the mean hour's calls is off hours for the key."""


def look_at_key(calls: Calls, past: KeyPast, *, hours: float) -> Note | None:
    """What the key does now that it never did in the past; None where it has no past or no calls.

    `hours` is the length of the incident's window.
    """
    mine = calls.where("api_key_id", past.api_key_id) if calls.rows else np.zeros(0, dtype=np.bool_)
    if not mine.any() or past.hours.rows == 0:
        return None
    old = Calls([past.calls])
    weights = calls.number("requests") * mine
    models = _new_share(calls.text("model"), weights, past.hours.values["model"])
    regions = _new_share(calls.text("region"), weights, old.text("region").values)
    environments = _new_share(calls.text("environment"), weights, past.hours.values["environment"])
    users = _new_share(calls.text("end_user"), weights, old.text("end_user").values)
    off = _off_hours(calls, weights, past)
    spent = float((calls.number("cost_nanos") * mine).sum()) / hours
    usual = past.hours.total("cost_nanos") / (past.window.seconds / 3600)
    data: dict[str, Datum] = {
        "api_key_id": past.api_key_id,
        "key_is_new_to_models": models > NEW,
        "key_is_new_to_regions": regions > NEW,
        "key_new_model_share": models,
        "key_new_region_share": regions,
        "key_new_environment_share": environments,
        "key_new_user_share": users,
        "key_sessionless_share": share((weights * ~calls.text("session_id").known()).sum(), weights.sum()),
        "key_spend_share": share((calls.number("cost_nanos") * mine).sum(), calls.number("cost_nanos").sum()),
        "off_hours_share": off,
        "key_novelties": min(1.0, 2 * models) + min(1.0, 2 * regions) + min(1.0, 2 * environments) + min(0.5, off),
        "key_environment": _usual(past),
    }
    if usual > 0:
        data["key_spend_ratio"] = spent / usual
    says = (
        f"The key spent {usd_text(round(spent))} an hour (before, {usd_text(round(usual))}). {models:.0%} of its calls"
        f" went to models, {regions:.0%} came from regions and {users:.0%} from users that it had not been seen with;"
        f" {off:.0%} fell in its quiet hours."
    )
    return Note("keys", says, data, Scope.of(api_key_id=past.api_key_id))


def _new_share(column: Coded, weights: Floats, seen: Collection[str]) -> float:
    """The share of calls whose value is known and was not seen; 0 where nothing was known before either."""
    old = set(seen) - {NONE}
    if not old:
        return 0.0
    new = np.array([value not in old and value != NONE for value in column.values], dtype=np.bool_)
    return share((weights * new[column.codes]).sum(), weights.sum())


def _off_hours(calls: Calls, weights: Floats, past: KeyPast) -> float:
    by_hour = total_by(past.hours.bucket // 3600 % 24, past.hours.measures["requests"], 24)
    quiet = by_hour < QUIET * by_hour.mean()
    hour = calls.micros() // 3_600_000_000 % 24
    return share((weights * quiet[hour]).sum(), weights.sum())


def _usual(past: KeyPast) -> str:
    """The environment in which the key made most of its calls."""
    cube = past.hours
    counts = total_by(cube.codes["environment"].astype(np.int64), cube.measures["requests"])
    return cube.values["environment"][int(np.argmax(counts))]
