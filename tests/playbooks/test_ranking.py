"""The net benefit counts what belongs to the excess, and says why."""

import pytest

from playbooks.model_downgrade import ModelDowngrade, ModelDowngradeParams
from playbooks.notify import NotifyPlaybook
from playbooks.ranking import because, excess_per_day, worth_of
from playbooks.reasoning_effort import ReasoningEffort
from playbooks.session_cap import SessionCap
from tests.playbooks.tables import OPUS, REFERENCE, every, facts_of, finding

LOOP = facts_of(every(10, 600, session_id="loop"))


@pytest.mark.parametrize(("confidence", "positive"), [(0.9, True), (0.2, False)])
def test_an_unlikely_cause_makes_a_remedy_not_worth_its_harm(confidence: float, positive: bool) -> None:
    """Refusing good requests costs more than is saved when the cause is probably another."""
    found = finding("agent_loop", confidence)
    draft = SessionCap().propose(found, LOOP, SessionCap.params())
    assert draft is not None
    assert (worth_of(draft, found).net > 0) is positive


def test_a_saving_beyond_the_excess_does_not_count() -> None:
    """Ten dollars a day of excess cannot be worth more than ten dollars, however much a remedy takes away."""
    found = finding("agent_loop", 1.0, excess_nanos=10**9)
    draft = SessionCap().propose(found, LOOP, SessionCap.params())
    assert draft is not None
    assert draft.saving.mid > excess_per_day(found) == 8 * 10**9
    assert worth_of(draft, found).net == pytest.approx(8.0)


def test_longer_thinking_is_capped_rather_than_given_to_a_smaller_model() -> None:
    """The remedy that mends the cause wins over the one that is only cheaper, even for everybody."""
    rows = every(10, 600, model=OPUS, output=4000, reasoning=3600)
    before = every(60, 300, start=REFERENCE.start, first=5000, model=OPUS, output=600, reasoning=200)
    facts = facts_of(rows, before)
    spent = sum(row.cost_nanos or 0 for row in rows)
    found = finding("reasoning_effort", 0.85, facts={"model": OPUS}, excess_nanos=spent * 3 // 4)
    effort = ReasoningEffort().propose(found, facts, ReasoningEffort.params())
    smaller = ModelDowngrade().propose(found, facts, ModelDowngradeParams(canary_percent=100))
    assert effort is not None
    assert smaller is not None
    assert effort.actions[0].to == {"effort": "low"}
    assert worth_of(effort, found).net > 0 > worth_of(smaller, found).net


def test_the_reason_names_the_figures_and_the_winner() -> None:
    """Put forward, lost to a better one, or worse than doing nothing."""
    found = finding("agent_loop", 0.9)
    draft = SessionCap().propose(found, LOOP, SessionCap.params())
    assert draft is not None
    best = worth_of(draft, found)
    nothing = worth_of(NotifyPlaybook().propose(found, LOOP, NotifyPlaybook.params()), found)
    assert because(best, best=None, best_name="session_cap").startswith("put forward: net benefit ")
    assert "session_cap is worth" in because(nothing, best=best, best_name="session_cap")
    doubtful = worth_of(draft.model_copy(update={"confidence": 0.1}), found)
    assert "doing nothing is better" in because(doubtful, best=nothing, best_name="notify")
