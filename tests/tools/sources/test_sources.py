"""Every source keeps the promises of a source, and bad rows never reach a sum."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.steps.collect import collect
from agent.steps.roll_up import roll_up
from store.errors import BadInput
from store.model.span import Span
from store.model.usage import Intake, Quarantined, UsageRecord
from store.price_overrides import Override
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.checks.check_source import CHECKS, EVER, NOW, Row, SourceCase, at, taken
from tests.tools.sources.cases import MORE_CASES
from tools.sources.litellm import LiteLLMSource
from tools.sources.mapping import Mapping
from tools.sources.registry import SOURCES, SourceOptions, open_source
from tools.sources.tabular import TabularSource


def _payload(n: int) -> Row:
    return {
        "id": f"chatcmpl-{n}",
        "call_type": "acompletion",
        "custom_llm_provider": "anthropic",
        "model": "claude-opus-4-5",
        "model_group": "claude-big",
        "response_cost": 0.01,
        "prompt_tokens": 100,
        "completion_tokens": n,
        "startTime": NOW.timestamp() - n - 1.5,
        "endTime": NOW.timestamp() - n,
        "status": "success",
        "metadata": {"spend_logs_metadata": {"app": "PLACE"}},
    }


_MAPPING = Mapping.model_validate(
    {
        "source": "table",
        "record_id": ["id"],
        "time": {"column": "at", "unit": "s"},
        "provider": {"constant": "anthropic"},
        "model": {"column": "model"},
        "dimensions": {"app": {"column": "app"}},
        "tokens": {"input": {"column": "in"}, "output": {"column": "out"}},
        "billed_usd": {"column": "usd"},
    }
)


def _table_row(n: int) -> Row:
    row = {"id": f"r{n}", "at": NOW.timestamp() - n, "model": "claude-opus-4-5", "app": "PLACE"}
    return {**row, "in": 100, "out": n, "usd": 0.01}


CASES = (
    SourceCase(
        "litellm",
        lambda clock: LiteLLMSource(name="gateway", clock=clock),
        _payload,
        lambda row, tokens: {**row, "completion_tokens": tokens},
        lambda row, seconds: {**row, "endTime": seconds},
    ),
    SourceCase(
        "tabular",
        lambda clock: TabularSource(mapping=_MAPPING, clock=clock),
        _table_row,
        lambda row, tokens: {**row, "out": tokens},
        lambda row, seconds: {**row, "at": seconds},
    ),
    *MORE_CASES,
)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_promises_of_a_source(check: object, case: SourceCase, tmp_path: Path) -> None:
    """Each shared check holds for each source."""
    assert callable(check)
    check(case, tmp_path)


def test_every_registered_source_is_checked() -> None:
    """A source cannot be registered without a case above."""
    assert {case.name for case in CASES} == set(SOURCES)


def test_the_registry_names_what_it_knows() -> None:
    """A format nobody knows, or options that do not fit, are told with what is known."""
    with pytest.raises(BadInput, match="known: litellm, otlp, focus, cur, anthropic, openai, langfuse, tabular"):
        open_source("excel", SourceOptions(at()))
    with pytest.raises(BadInput, match="needs a mapping file"):
        open_source("tabular", SourceOptions(at()))
    with pytest.raises(BadInput, match="needs no mapping"):
        open_source("litellm", SourceOptions(at(), mapping=Path("aider")))


def test_collect_tells_how_far_it_is_and_prices_what_it_takes(tmp_path: Path) -> None:
    """Progress hears the counts; records are priced, or priced by roll_up once an override knows their model."""
    path = tmp_path / "usage.jsonl"
    unknown = {**_payload(2), "model": "house-model"}
    path.write_text(json.dumps(_payload(1)) + "\n" + json.dumps(unknown) + "\nbroken\n")
    warehouse = open_duckdb(None, clock=at())
    heard: list[tuple[Intake, int]] = []
    source = LiteLLMSource(name="gateway", clock=at())
    took = collect(
        source=source, paths=[path], warehouse=warehouse, prices=PriceBook(), progress=lambda *at: heard.append(at)
    )
    assert heard == [(took, path.stat().st_size)] == [(Intake(accepted=2, quarantined=1), path.stat().st_size)]
    assert roll_up(warehouse=warehouse, prices=PriceBook()) is not None
    cube = warehouse.cube(EVER, bucket_seconds=86_400, dims=())
    assert (cube.total("cost_nanos"), cube.total("unpriced")) == (100 * 5_000 + 1 * 25_000, 1)
    usd = {"input": "1", "output": "2"}
    known = {"provider": "*", "model": "house-model", "effective_from": "2026-01-01T00:00:00Z", "usd_per_million": usd}
    roll_up(warehouse=warehouse, prices=PriceBook([Override.model_validate(known)]))
    cube = warehouse.cube(EVER, bucket_seconds=86_400, dims=())
    assert (cube.total("cost_nanos"), cube.total("unpriced")) == (525_000 + 100 * 1_000 + 2 * 2_000, 0)
    warehouse.close()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_value_in_any_field_is_a_record_or_quarantined(case: SourceCase, data: st.DataObject) -> None:
    """I35: whatever stands in a field, the row comes out once, right or with a reason, and nothing raises."""
    row = case.good(1)
    for name in data.draw(st.lists(st.sampled_from(case.fields(row)), min_size=1, max_size=3, unique=True)):
        row = case.put(row, name, data.draw(_JSON))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "usage.jsonl"
        path.write_text(json.dumps(row) + "\n" + json.dumps(case.good(2)) + "\n")
        found = [row for row in case.open(at()).read([path]) if not isinstance(row, Span)]
    assert len(found) == 2
    first = found[0]
    if isinstance(first, Quarantined):
        assert first.reason
        return
    assert isinstance(first, UsageRecord)
    for name in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning"):
        assert 0 <= getattr(first, name) <= 10**11
    assert first.billed_nanos is None or 0 <= first.billed_nanos <= 10**16


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=10, deadline=None)
@given(outputs=st.lists(st.sampled_from([1, 2, -1, float("nan"), None, "x", 1e308]), min_size=1, max_size=12))
def test_every_row_is_accounted_for(case: SourceCase, outputs: list[object]) -> None:
    """I35: rows in = accepted + duplicate + superseded + quarantined."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "usage.jsonl"
        rows = [case.set_output(case.good(at % 3), output) for at, output in enumerate(outputs)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert taken(case, path).total == len(rows)
