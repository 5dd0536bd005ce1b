"""The engines for how a request is answered: less thinking, the standard tier, the batch lane, a mended cache."""

from collections.abc import Mapping

import numpy as np

from playbooks.replay.outcome import Nanos, Replayed, numbers
from playbooks.replay.price import list_cost, moved, tokens_of, with_tokens
from store.model.prices import PriceTable
from store.model.usage import RecordTable

_MILLE = 1000


def replay_thinking(records: RecordTable, prices: PriceTable, *, per_mille: int, at_most_per_mille: int) -> Replayed:
    """What the records would have cost with less thinking; provider buckets stay as they are.

    Args:
        records: also needs `reasoning`.
        prices: the dated price table.
        per_mille: tokens of thinking for a thousand of the visible answer, as was normal.
        at_most_per_mille: the same at the effort that is set, for the low figure.
    """
    old, reasoning = tokens_of(records), numbers(records, "reasoning")
    single = numbers(records, "requests") == 1
    seen = old["output"] - reasoning

    def output(most: int) -> Nanos:
        return np.where(single, seen + np.minimum(reasoning, seen * most // _MILLE), old["output"])

    note = (
        f"thinking back at {per_mille / _MILLE:.2f} tokens for each of the visible answer, as was normal "
        f"(low: {at_most_per_mille / _MILLE:.2f}, what models spend at that effort)"
    )
    worse = {**old, "output": output(max(per_mille, at_most_per_mille))}
    return with_tokens(records, prices, {**old, "output": output(per_mille)}, note, cautious=worse)


def seen_output(records: RecordTable) -> Nanos:
    """Tokens of the visible answer, which a change of effort leaves as they are."""
    return numbers(records, "output") - numbers(records, "reasoning")


def thinking_per_mille(records: RecordTable) -> int | None:
    """Tokens of thinking for a thousand of the visible answer; None where nothing was answered visibly."""
    reasoning, output = int(numbers(records, "reasoning").sum()), int(numbers(records, "output").sum())
    return None if output <= reasoning else reasoning * _MILLE // (output - reasoning)


def replay_columns(records: RecordTable, prices: PriceTable, columns: Mapping[str, str], note: str) -> Replayed:
    """What the records would have cost with these values in every row: another tier, another speed."""
    values = {name: np.full(records.rows, value, dtype=object) for name, value in columns.items()}
    other = records._replace(columns={**records.columns, **values})
    return moved(records, list_cost(records, prices), list_cost(other, prices), note)


def replay_half_price(records: RecordTable, note: str) -> Replayed:
    """What the records would have cost at half their cost: the batch lane, where the price book has no batch price."""
    before = numbers(records, "cost_nanos")
    return Replayed(before, before - before // 2, np.zeros(records.rows, dtype=np.bool_), note)


def replay_mended_cache(
    records: RecordTable, prices: PriceTable, *, read_per_mille: int, write_per_mille: int
) -> Replayed:
    """What the records would have cost with these shares of their input read from and written to the cache."""
    old = tokens_of(records)
    total = old["input_uncached"] + old["cache_read"] + old["cache_write_5m"] + old["cache_write_1h"]
    single = numbers(records, "requests") == 1

    def split(read_share: int) -> dict[str, Nanos]:
        read, written = total * read_share // _MILLE, total * write_per_mille // _MILLE
        hour = old["cache_write_1h"] > old["cache_write_5m"]
        new = {
            "input_uncached": total - read - written,
            "cache_read": read,
            "cache_write_5m": np.where(hour, 0, written),
            "cache_write_1h": np.where(hour, written, 0),
        }
        return {**old, **{name: np.where(single, counts, old[name]) for name, counts in new.items()}}

    note = (
        f"{read_per_mille / 10:.1f} % of the input read from and {write_per_mille / 10:.1f} % written to the cache, "
        "as before the break (low: a tenth less is read)"
    )
    return with_tokens(records, prices, split(read_per_mille), note, cautious=split(read_per_mille * 9 // 10))


def cache_shares(records: RecordTable) -> tuple[int, int]:
    """Per mille of the input that was read from the cache, and written to it; (0, 0) without input."""
    tokens = {name: int(counts.sum()) for name, counts in tokens_of(records).items()}
    written = tokens["cache_write_5m"] + tokens["cache_write_1h"]
    total = tokens["input_uncached"] + tokens["cache_read"] + written
    return (tokens["cache_read"] * _MILLE // total, written * _MILLE // total) if total else (0, 0)
