"""What a LiteLLM proxy itself turns away is read as refused: else every limit that bites would look like harm."""

import pytest

from store.model.usage import UsageRecord
from tests.simulation.hand_clock import HandClock
from tools.sources.litellm import LiteLLMSource

# As LiteLLM 1.106 was seen to log them, shortened.
LIMIT = {"error_code": "429", "error_class": "ProxyRateLimitError", "error_rate_limit_category": "litellm_rate_limit"}
BUDGET = {"error_code": "422", "error_class": "BudgetExceededError", "error_rate_limit_category": "litellm_rate_limit"}
BLOCKED = {"error_code": "", "error_message": "Key is blocked. Update via `/key/unblock` if you're an admin."}
VENDOR = {"error_code": "429", "error_class": "RateLimitError", "error_rate_limit_category": "vendor_rate_limit"}
DENIED = {"error_code": "403", "error_class": "ModelAccessDeniedProxyException", "error_rate_limit_category": None}


@pytest.mark.parametrize(
    ("why", "status"),
    [(LIMIT, "refused"), (BUDGET, "refused"), (BLOCKED, "refused"), (VENDOR, "error"), (DENIED, "error")],
)
def test_the_gateways_own_refusals_are_no_errors(why: dict[str, object], status: str) -> None:
    """A provider's 429 stays an error; a refusal costs nothing, whatever LiteLLM estimated for the prompt."""
    row = {
        "request_id": "r-1",
        "spend": 0.0,
        "call_type": "acompletion",
        "api_key": "hash-1",
        "model": "anthropic/claude-opus-4-5",
        "custom_llm_provider": "anthropic",
        "startTime": "2026-11-02T08:59:58.000Z",
        "endTime": "2026-11-02T08:59:59.000Z",
        "status": "failure",
        "prompt_tokens": 7,
        "completion_tokens": 0,
        "metadata": {"error_information": why},
    }
    [record] = LiteLLMSource(name="litellm", clock=HandClock()).parse([row])
    assert isinstance(record, UsageRecord)
    assert record.status == status
    assert (record.input_uncached == 0) == (status == "refused")
