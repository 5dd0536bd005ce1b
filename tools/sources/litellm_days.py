"""LiteLLM's daily sums as records: one a day, model and key, and one more for the calls that failed.

Source: the answer of /user/daily/activity, LiteLLM 1.106. `prompt_tokens` includes cached and written tokens.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from store.model.canonical import stable_id
from store.model.usage import NONE, Quarantined, UsageRecord, to_us
from tools.sources.dimensions import at
from tools.sources.fields import Faulty, amount, optional_count, reject, text, vet
from tools.sources.litellm_words import provider_and_model

COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "successful_requests",
    "failed_requests",
)
Sums = dict[str, int]
"""COUNTS, and "spend" in nano-USD."""


class DayKey(NamedTuple):
    """What a sum is of; `team` is LiteLLM's id of it."""

    day: str
    model: str = NONE
    api_key: str = NONE
    team: str = NONE


def sums_of(metrics: object) -> Sums:
    """The sums of one `metrics` object; what is absent is 0.

    Raises:
        Faulty: a value that cannot be right.
    """
    counts = {name: optional_count(at(metrics, name), name) for name in COUNTS}
    return {**counts, "spend": amount(at(metrics, "spend"), "spend") or 0}


def parts_of(results: Iterable[object]) -> Iterator[tuple[DayKey, Sums]]:
    """Every key's sums; what a model has beyond its keys comes without one, so that they add up to the whole.

    Raises:
        Faulty: a value that cannot be right.
    """
    for result in results:
        day = str(at(result, "date"))
        for model, one in _items(at(result, "breakdown.models")):
            rest = sums_of(at(one, "metrics"))
            for key, part in _items(at(one, "api_key_breakdown")):
                sums = sums_of(at(part, "metrics"))
                rest = {name: rest[name] - sums[name] for name in rest}
                alias, team = at(part, "metadata.key_alias") or key, at(part, "metadata.team_id") or NONE
                yield DayKey(day, model, str(alias), str(team)), sums
            # LiteLLM adds up floats: less than a thousandth of a cent is noise.
            if rest["spend"] > 10_000 or any(rest[name] > 0 for name in COUNTS):
                yield DayKey(day, model), {name: max(0, value) for name, value in rest.items()}


def records_of(
    key: DayKey, sums: Sums, *, source: str, observed_us: int, teams: Mapping[str, str]
) -> Iterator[UsageRecord | Quarantined]:
    """The answered requests of a day, at LiteLLM's own cost, and the failed ones."""
    provider, model = provider_and_model(NONE, text(key.model))
    read, written = sums["cache_read_input_tokens"], sums["cache_creation_input_tokens"]
    try:
        answered = UsageRecord(
            record_id=stable_id("day", *key),
            source=source,
            observed_us=observed_us,
            occurred_us=to_us(datetime.combine(date.fromisoformat(key.day), datetime.min.time(), UTC)),
            provider=provider,
            model=model,
            requested_model=model,
            requests=max(1, sums["successful_requests"]),
            period_seconds=86_400,
            team=text(teams.get(key.team, key.team)),
            api_key_id=text(key.api_key),
            input_uncached=max(0, sums["prompt_tokens"] - read - written),
            cache_read=read,
            cache_write_5m=written,
            output=sums["completion_tokens"],
            cost_nanos=sums["spend"],
            billed_nanos=sums["spend"],
        )
        yield vet(answered)
    except (Faulty, ValueError) as error:
        yield reject(source, observed_us, str(error), {"key": list(key), **sums})
        return
    if sums["failed_requests"]:
        yield _failed(answered, sums["failed_requests"])


def _failed(answered: UsageRecord, requests: int) -> UsageRecord:
    nothing = dict.fromkeys(
        ("input_uncached", "cache_read", "cache_write_5m", "output", "cost_nanos", "billed_nanos"), 0
    )
    changed: dict[str, Any] = {"status": "error", "status_code": 500, "requests": requests, **nothing}
    return answered._replace(record_id=f"{answered.record_id}-failed", **changed)


def _items(value: object) -> Iterable[tuple[str, object]]:
    return value.items() if isinstance(value, dict) else ()
