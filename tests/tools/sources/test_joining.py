"""Batches that are joined and cut say what their records said."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from store.model.usage import NONE, UsageRecord
from store.model.usage_batch import NUMBER_FIELDS, CodedTags, Text, UsageBatch, batch_of
from store.usage.columns import coded, from_arrow, to_arrow
from tools.sources.joining import cut, joined
from tools.sources.vectors import packed

_TEXT = st.sampled_from([NONE, "x", "search", "é", "y" * 40])
_RECORDS = st.builds(
    lambda text, number, amount, tags: UsageRecord(
        record_id=text,
        source="gateway",
        observed_us=7,
        occurred_us=number,
        provider=text,
        model=text,
        session_id=text,
        output=number,
        billed_nanos=amount,
        tags=tags,
    ),
    _TEXT,
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(0, 3)),
    st.sampled_from([(), (("app", "a"),)]),
)


def _as(form: str, batch: UsageBatch) -> UsageBatch:
    """The same batch with its columns in another form: as lists, codes, packed text, or one value where they agree."""
    if form == "codes":
        tags = None if batch.tags is None else CodedTags(np.arange(batch.rows, dtype=np.int32), batch.tags)
        return replace(coded(batch, ("model", "session_id")), tags=tags)
    if form == "packed":
        return batch.with_texts(
            {name: packed(pa.array(batch.text(name), pa.string())) for name in ("model", "session_id")}
        )
    if form == "one value":
        texts: dict[str, Text] = {name: str(text[0]) for name, text in batch.texts.items() if len(set(text)) == 1}
        numbers = {name: batch.number(name) for name in NUMBER_FIELDS}
        whole = {name: int(values[0]) for name, values in numbers.items() if len(np.unique(values)) == 1}
        return batch.with_texts(texts).with_numbers(whole)
    return batch


_FORMS = st.sampled_from(["lists", "codes", "packed", "one value"])


@settings(deadline=None, max_examples=150)
@given(
    records=st.lists(_RECORDS, max_size=12),
    ends=st.lists(st.integers(0, 12), max_size=3),
    forms=st.lists(_FORMS, min_size=4, max_size=4),
    first=st.integers(0, 14),
)
def test_the_rows_stay_as_they_are(records: list[UsageRecord], ends: list[int], forms: list[str], first: int) -> None:
    """However the rows are split, in whatever form each part has its columns, and wherever the whole is cut."""
    places = sorted(min(end, len(records)) for end in (0, *ends, len(records)))
    parts = [records[start:stop] for start, stop in pairwise(places) if stop > start]
    whole = joined([_as(form, batch_of(part)) for form, part in zip(forms, parts, strict=False)])
    assert from_arrow(to_arrow(whole)) == records
    left, right = cut(whole, first)
    assert left.rows == min(first, len(records))
    assert from_arrow(to_arrow(left)) + from_arrow(to_arrow(right)) == records
