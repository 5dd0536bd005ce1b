"""A new model of the same price whose tokenizer counts more is pinned back, for what the same texts counted before."""

from dataclasses import replace
from typing import Any

import pytest

from playbooks.model_pin import ModelPin
from playbooks.playbook import ProposalFacts
from playbooks.replay.swap import Drift, measured_drift
from store.model.prices import PriceKey, PriceTable
from tests.playbooks.tables import OPUS, PRICES, REFERENCE, every, facts_of, finding, table

NEW = "claude-opus-4-7"
FOUND = finding("tokenizer_change", facts={"model": NEW, "previous_model": OPUS})


def _facts(*, counted: bool = True) -> ProposalFacts:
    """The same texts at four characters a token before, and at a third more tokens now; the prices are one."""
    dated = PRICES.prices[PriceKey("anthropic", OPUS)]
    prices = PriceTable(prices={**PRICES.prices, PriceKey("anthropic", NEW): dated})
    chars: dict[str, Any] = {"prompt_chars": 12_000 * counted, "completion_chars": 1200 * counted}
    before = every(60, 180, start=REFERENCE.start, first=500, model=OPUS, input_uncached=3000, output=300, **chars)
    now = every(
        60, 180, model=NEW, requested_model=NEW, input_uncached=4000, output=400, cost_nanos=30_000_000, **chars
    )
    return replace(facts_of(now, before), prices=prices)


def test_the_drift_of_a_tokenizer_is_read_from_tokens_and_characters() -> None:
    """Three tokens now where four are counted; nothing where no text was counted."""
    facts = _facts()
    assert measured_drift(facts.records, NEW, facts.reference_records, OPUS) == Drift(75, 75)
    dumb = _facts(counted=False)
    assert measured_drift(dumb.records, NEW, dumb.reference_records, OPUS) is None
    assert measured_drift(table([]), NEW, facts.reference_records, OPUS) is None


def test_the_pin_is_worth_the_tokens_that_the_old_tokenizer_does_not_count() -> None:
    """A quarter of the spend at one price; without counted texts nothing is known to be saved."""
    draft = ModelPin().propose(FOUND, _facts(), ModelPin.params())
    assert draft is not None
    assert draft.saving.mid == pytest.approx(180 * 7_500_000 * 8, rel=0.001)
    assert ModelPin().propose(FOUND, _facts(counted=False), ModelPin.params()) is None
