"""Whole cents that add up: rounding parts so that their sum is the given total."""

from collections.abc import Mapping
from typing import TypeVar

from store.model.money import NANOS_PER_CENT

Name = TypeVar("Name")


def whole_cents(parts: Mapping[Name, float], *, total_nanos: int) -> dict[Name, int]:
    """Round each part (nano-USD) to whole cents, in nano-USD, so that they add up to `total_nanos` exactly.

    Each part gets its nearest cent; what is then missing or too much goes, cent by cent, to the parts that lost or
    gained most by rounding (the largest remainders). A part of zero stays zero while others can take it.
    `total_nanos` is a multiple of a cent and within rounding of the sum of the parts.
    """
    cents = {name: round(nanos / NANOS_PER_CENT) for name, nanos in parts.items()}
    missing = total_nanos // NANOS_PER_CENT - sum(cents.values())
    step = 1 if missing > 0 else -1
    order = sorted(parts, key=lambda name: (parts[name] == 0, step * (cents[name] - parts[name] / NANOS_PER_CENT)))
    for i in range(abs(missing)):
        cents[order[i % len(order)]] += step
    return {name: count * NANOS_PER_CENT for name, count in cents.items()}
