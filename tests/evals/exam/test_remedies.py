"""What a remedy is worth for a cause."""

import pytest

from evals.exam.remedies import Worth, worth_of
from store.model.incident import Cause
from store.model.remedy import Action, BlockKey, Notify, SetModelAlias, SetOutputCap, SetRateLimit, SetSessionCap
from store.model.usage import Scope

APP = Scope.of(team="sales", app="crm-notes")
OTHERS = Scope.of(team="legal", app="redactor")


@pytest.mark.parametrize(
    ("cause", "action", "worth"),
    [
        ("agent_loop", SetSessionCap(target=APP, max_calls=50), "acceptable"),
        ("agent_loop", SetSessionCap(target=OTHERS, max_calls=50), "harmful"),
        ("agent_loop", SetModelAlias(target=APP, from_model="a", to_model="b"), "poor"),
        ("model_switch", SetModelAlias(target=APP, from_model="a", to_model="b"), "acceptable"),
        ("model_switch", SetRateLimit(target=APP, requests_per_minute=5), "harmful"),
        ("leaked_key", BlockKey(target=Scope.of(api_key_id="k")), "acceptable"),
        ("retry_storm", BlockKey(target=Scope.of(api_key_id="k")), "harmful"),
        ("organic_growth", SetOutputCap(target=APP, max_tokens=100), "harmful"),
        ("telemetry_fault", SetRateLimit(target=APP, requests_per_minute=5), "harmful"),
        ("organic_growth", Notify(target=APP, message="look"), "acceptable"),
    ],
)
def test_the_table_of_worths(cause: Cause, action: Action, worth: Worth) -> None:
    """Telling the owner is always fine; refusing requests for the wrong cause, or other people's, never is."""
    assert worth_of(cause, APP, [action]) == worth


def test_the_worst_action_counts() -> None:
    """A plan is as bad as the worst thing in it."""
    good, bad = Notify(target=APP, message="look"), SetRateLimit(target=APP, requests_per_minute=5)
    assert worth_of("context_bloat", APP, [good, bad]) == "harmful"
