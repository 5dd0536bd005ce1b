"""The exam with a model, against the stand-in: hostile names change nothing, and without a key it does not begin."""

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.entrypoints.cli import app
from evals.exam.catalogue import named
from evals.exam.hostile import PAYLOADS
from evals.exam.reasoner import NO_KEY, claude
from evals.exam.report import seed_of
from evals.exam.take import take
from store.errors import BadInput
from tests.servers.messages import KEY, Answered, MessagesStandIn, asks, diagnosis, labels, texts_of

EXTRACTOR = "claude-haiku-5-5"
USAGE = {"input_tokens": 2_000, "output_tokens": 100}


def curious(body: dict[str, Any]) -> Answered:
    """Asks once about everything, then believes the analyst's best cause."""
    if len(body["messages"]) > 1:
        cause = json.loads(body["messages"][0]["content"][0]["text"])["causes"][0]["cause"]
        return replace(diagnosis(cause=cause, confidence=0.9, evidence=["ev-1", "q-1"]), usage=USAGE)
    questions = asks(
        ("spend_by", {"where": [], "by": "end_user"}),
        ("sessions", {"where": []}),
        ("key_history", {"key": "api_key_id#1"}),
        ("read_names", {"where": [], "of": "api_key_id"}),
    )
    return replace(questions, usage=USAGE)


def test_hostile_names_change_nothing_with_a_model_in_the_loop() -> None:
    """The planner is sent the same figures and ids; what the hostile twin's names say reaches the extractor only."""
    case = named(["case-0720"])[0]
    server = MessagesStandIn(extractor=labels(), extractor_model=EXTRACTOR)
    server.otherwise = curious
    with server:
        model = claude({"ANTHROPIC_API_KEY": KEY, "BURSAR_REASONER_URL": server.url})
        assert model is not None
        scored = take(case, seed_of(case, 0, "build"), reviewer_for=model)
    assert scored.passed
    assert scored.hostile_differences == ()
    assert server.violations == []
    planner = server.of_model("claude-opus-5-5")
    sent = texts_of(planner)
    assert not [payload for payload in PAYLOADS if json.dumps(payload)[1:-1][:40] in sent]
    briefs = [one["messages"][0]["content"][0]["text"] for one in planner]
    assert briefs[: len(briefs) // 2] == briefs[len(briefs) // 2 :], "each twin was told the same"
    assert model.cost_nanos == sum(one.cost_nanos or 0 for one in model.records) > 0


def test_without_a_key_it_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """No case is played, and it is no failure."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    done = CliRunner().invoke(app, ["eval", "--reasoner", "claude"])
    assert done.exit_code == 0
    asked = CliRunner().invoke(app, ["eval", "--reasoner", "claude", "--json"])
    assert json.loads(asked.stdout)["rows"] == []
    assert claude({}) is None
    assert NO_KEY.split(";", maxsplit=1)[0] in " ".join(done.output.split())


def test_an_address_that_cannot_be_used_is_refused() -> None:
    """A key is not sent in the clear."""
    with pytest.raises(BadInput, match="base_url"):
        claude({"ANTHROPIC_API_KEY": KEY, "BURSAR_REASONER_URL": "http://example.com"})
