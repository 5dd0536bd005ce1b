"""The counterfactual's arithmetic: what counts as saved, as harm, and as not knowing."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.verification import VerificationFacts, counterfactual_nanos, own_attempts, verify_facts
from store.model.remedy import Proposal, SetModelAlias, Verification
from store.model.usage import Window
from tests.simulation.hand_clock import START
from tests.simulation.story import HARMED, NO_EFFECT, TARGET, USD, WORKED, proposal

HOUR = Window(start=START, end=START + timedelta(hours=1))
ALIAS = proposal(SetModelAlias(target=TARGET, from_model="big", to_model="small"))


def judge(facts: VerificationFacts | None, plan: Proposal | None = None) -> Verification:
    return verify_facts(facts, proposal=plan or proposal(), window=HOUR, at=START)


def test_a_limit_that_removes_the_excess_worked() -> None:
    """98 % of the excess is gone; saved is the counterfactual less what was spent, with its interval."""
    found = judge(WORKED)
    assert found.outcome == "worked"
    assert (found.counterfactual_nanos, found.saved_mid_nanos) == (100 * USD, 88 * USD)
    assert (found.saved_low_nanos, found.saved_high_nanos) == (78 * USD, 98 * USD)
    assert "98% of the excess is gone" in found.says


def test_one_that_changes_nothing_has_no_effect() -> None:
    """The upper end of the interval misses what was wanted."""
    assert judge(NO_EFFECT).outcome == "no_effect"


def test_harm_outweighs_any_saving() -> None:
    """A broken guard, however much was saved; the rise is told."""
    found = judge(HARMED)
    assert found.outcome == "harmed"
    assert found.harm == {"error_share": pytest.approx(0.39)}


def test_a_wide_interval_is_inconclusive() -> None:
    """Neither reached for certain nor missed for certain."""
    assert judge(WORKED._replace(actual_nanos=70 * USD, spread=0.4)).outcome == "inconclusive"


def test_attempts_bound_the_counterfactual_of_a_limit() -> None:
    """A client that gave up would have cost less than the run-rate says."""
    assert counterfactual_nanos(WORKED._replace(attempts=300, refused=180), limits=True) == 30 * USD
    assert counterfactual_nanos(WORKED._replace(attempts=9000, refused=8880), limits=True) == 100 * USD


def test_retries_that_our_refusals_caused_are_left_out() -> None:
    """Ten calls, each refused and tried thrice more: ten attempts. Retries that were normal before stay in."""
    storm = WORKED._replace(attempts=40, refused=40, retries=30)
    assert own_attempts(storm) == 10
    usual = WORKED._replace(attempts=1000, refused=0, retries=100, before_retries=100)
    assert own_attempts(usual) == 1000


def test_the_controls_carry_what_is_no_limit() -> None:
    """Where a request of the siblings became half as dear, half was to be expected anyway."""
    facts = WORKED._replace(refused=0, control_ratio=0.5)
    assert counterfactual_nanos(facts, limits=False) == 50 * USD
    assert counterfactual_nanos(facts, limits=True) == 100 * USD


def test_what_answers_every_request_is_judged_by_the_request() -> None:
    """Twice the traffic at half the cost of a request: half of twice the spend is saved, though as much is spent."""
    busier = WORKED._replace(attempts=2000, refused=0, actual_nanos=100 * USD)
    found = judge(busier, ALIAS)
    assert (found.outcome, found.counterfactual_nanos) == ("worked", 200 * USD)
    assert judge(busier).outcome == "no_effect", "a limit has to answer for how often is asked"


def test_retries_of_answers_that_fail_are_not_asked_for() -> None:
    """A cheaper model that cannot do the work makes callers try again: that is no traffic that it saved on."""
    failing = WORKED._replace(attempts=1500, refused=0, retries=500)
    assert own_attempts(failing, limits=False) == 1000
    assert counterfactual_nanos(failing, limits=False) == 100 * USD


def test_a_spike_that_ended_by_itself_is_not_claimed() -> None:
    """A limit that refused nothing, a cheaper model that nobody asked: inconclusive."""
    ended = WORKED._replace(attempts=100, refused=0, actual_nanos=10 * USD)
    assert judge(ended).outcome == "inconclusive"
    assert judge(ended, ALIAS).outcome == "inconclusive"


@pytest.mark.parametrize(
    "facts",
    [
        None,
        WORKED._replace(attempts=0, refused=0),
        WORKED._replace(unpriced=100),
        WORKED._replace(before_nanos=0),
        WORKED._replace(before_seconds=0.0),
        WORKED._replace(spread=float("nan")),
        WORKED._replace(control_ratio=float("inf")),
        WORKED._replace(harm_after={"error_share": float("nan")}),
        WORKED._replace(harm_after={}),
        WORKED._replace(baseline_nanos_per_hour=100 * USD),
    ],
)
def test_not_knowing_is_never_success(facts: VerificationFacts | None) -> None:
    """No data, no prices, no past, no number, an unmeasured guard, no excess: inconclusive."""
    assert judge(facts).outcome == "inconclusive"


def test_a_block_that_refuses_everything_needs_no_harm_metric() -> None:
    """Nothing was served, so nothing served was harmed."""
    blocked = WORKED._replace(attempts=500, refused=500, actual_nanos=0, actual_cash_nanos=0, harm_after={})
    assert judge(blocked).outcome == "worked"


def test_cash_is_the_part_that_was_cash_before() -> None:
    """Half of the spend was prepaid: half of the saving is no cash."""
    found = judge(WORKED._replace(before_cash_nanos=50 * USD, actual_cash_nanos=6 * USD))
    assert found.cash_saved_mid_nanos == 44 * USD


_COUNTS = st.integers(0, 10**6)
_MONEY = st.integers(0, 10**15)


@given(
    counts=st.tuples(_COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS),
    money=st.tuples(_MONEY, _MONEY, _MONEY, _MONEY, _MONEY),
    ratio=st.none() | st.floats(0, 10),
    spread=st.floats(0, 1),
)
@settings(deadline=None, max_examples=300)
def test_the_judgement_is_total(
    counts: tuple[int, ...], money: tuple[int, ...], ratio: float | None, spread: float
) -> None:
    """Any numbers give a verdict; the interval is in order; success always comes with a saving."""
    facts = VerificationFacts(
        seconds=3600.0,
        actual_nanos=money[0],
        actual_cash_nanos=money[1],
        attempts=counts[0],
        refused=min(counts[1], counts[0]),
        retries=min(counts[2], counts[0]),
        unpriced=counts[3],
        before_seconds=1800.0,
        before_nanos=money[2],
        before_cash_nanos=min(money[3], money[2]),
        before_attempts=counts[4],
        before_refused=min(counts[5], counts[4]),
        before_retries=min(counts[6], counts[4]),
        baseline_nanos_per_hour=money[4],
        control_ratio=ratio,
        spread=spread,
        harm_before={"error_share": 0.0},
        harm_after={"error_share": 0.0},
    )
    for plan in (proposal(), ALIAS):
        found = judge(facts, plan)
        assert found.saved_low_nanos <= found.saved_mid_nanos <= found.saved_high_nanos
        assert found.saved_mid_nanos == found.counterfactual_nanos - found.actual_nanos
        if found.outcome == "worked":
            assert found.saved_mid_nanos > 0
