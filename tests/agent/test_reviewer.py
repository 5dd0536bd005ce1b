"""The assembled service with `reasoner:` configured: a case is reviewed, paid for, shown, and never acted upon."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.entrypoints.transcripts import show_transcripts, transcript_document
from agent.reviewer import OWN, reviewer_state, secrets_of
from agent.settings import LedgerSettings, Settings, load
from store.errors import BadInput
from store.ledger.ledger import open_ledger
from store.model.usage import Window
from store.prices import PriceBook
from tests.agent.analyst import small_faults as faults
from tests.agent.analyst.small_world import WINDOW, SmallWorld
from tests.servers.messages import KEY, MessagesStandIn, asks, diagnosis, labels, says
from tests.simulation.hand_clock import HandClock
from tools.reasoner.settings import ReasonerSettings


class Service(NamedTuple):
    """An assembled Bursar, one open incident, and the stand-in that it calls."""

    bursar: Bursar
    server: MessagesStandIn
    settings: Settings


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    clock = HandClock(WINDOW.end)
    world = SmallWorld(faults.model_switch)
    server = MessagesStandIn(extractor=labels(), extractor_model="claude-haiku-5-5")
    with server:
        reasoner = ReasonerSettings.model_validate({"api_key": KEY, "base_url": server.url})
        settings = Settings(data_dir=tmp_path, reasoner=reasoner)
        ledger = open_ledger("sqlite://", clock=clock)
        bursar = assemble(
            settings, clock=clock, owner="test", ledger=ledger, warehouse=world.warehouse(), checkpointed=False
        )
        ledger.save_incident(world.incident)
        yield Service(bursar, server, settings)
        bursar.close()


def test_a_case_is_reviewed_and_shown(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """The finding says who made it and what it cost; the transcript has both sides; usage is a series of its own."""
    service.server.answers = [
        asks(("spend_by", {"where": [], "by": "model"}), ("read_names", {"where": [], "of": "model"})),
        diagnosis(cause="model_switch", confidence=0.95, evidence=["q-1", "ev-2"]),
    ]
    bursar = service.bursar
    bursar.run_cases()
    finding = bursar.ledger.finding("inc-1")
    assert finding is not None
    assert (finding.made_by, finding.cause) == ("reasoner", "model_switch")
    assert "after 2 questions" in finding.review
    assert finding.evidence[-1].id == "q-1"
    assert service.server.violations == []
    (transcript,) = bursar.ledger.transcripts("inc-1")
    assert transcript.cost_nanos == finding.cost_nanos > 0
    show_transcripts(bursar.ledger, "inc-1", json=False)
    shown = capsys.readouterr().out
    assert "answered: A model (claude-opus-5-5) weighed the causes" in shown
    assert "usd per day 20" in shown
    assert "-> to the extractor:" in shown
    assert 'app#1 = "assist"' in shown
    assert transcript_document(transcript)["cost_usd"] == finding.cost_nanos / 1e9
    own = bursar.warehouse.records(Window(start=WINDOW.start, end=WINDOW.end.replace(hour=23)), scope=OWN)
    assert own.rows == 3
    assert int(own.column("cost_nanos").sum()) == finding.cost_nanos
    assert reviewer_state(service.settings, ledger=bursar.ledger, prices=bursar.prices, clock=bursar.clock) == (
        f"ok, claude-opus-5-5 at {service.server.url}, ${finding.cost_nanos / 1e9:.2f} of $20 spent today; "
        "no call is made to check"
    )


def test_where_it_fails_the_finding_is_the_analysts_and_says_so(service: Service) -> None:
    """Nothing waits for a model; the note stays when the incident is settled."""
    service.server.otherwise = says("I will not.", stop="refusal")
    service.bursar.run_cases()
    for _ in range(2):
        finding = service.bursar.ledger.finding("inc-1")
        assert finding is not None
        assert (finding.made_by, finding.cause) == ("analyst", "model_switch")
        assert "it refused to answer: the analyst's answer stands" in finding.review
        service.bursar.settle("inc-1")


def test_what_a_review_found_stays_when_the_incident_is_settled(service: Service) -> None:
    """Its figures go on; its cause was paid for."""
    service.server.answers = [diagnosis(cause="reasoning_effort", confidence=0.9)]
    service.bursar.run_cases()
    service.bursar.settle("inc-1")
    finding = service.bursar.ledger.finding("inc-1")
    assert finding is not None
    assert (finding.made_by, finding.cause, finding.confidence) == ("reasoner", "reasoning_effort", 0.3)


def test_a_model_without_a_price_is_refused_at_the_start(tmp_path: Path) -> None:
    """No cap could hold; the message names the key and what to do."""
    reasoner = ReasonerSettings.model_validate({"api_key": KEY, "model": "claude-nobody-knows"})
    settings = Settings(data_dir=tmp_path, reasoner=reasoner)
    clock = HandClock(WINDOW.end)
    with pytest.raises(BadInput, match=r"reasoner\.model: no price is known for 'claude-nobody-knows'"):
        assemble(settings, clock=clock, owner="test", checkpointed=False)
    ledger = open_ledger("sqlite://", clock=clock)
    state = reviewer_state(settings, ledger=ledger, prices=PriceBook(), clock=clock)
    ledger.close()
    assert state is not None
    assert not state.startswith("ok")


def test_bursars_own_calls_are_never_acted_upon(service: Service) -> None:
    """They are on the list before the operator writes one."""
    assert service.settings.policy.never_touch == ()
    assert service.bursar.settings.policy.never_touch == (OWN,)


def test_every_secret_of_the_configuration_is_known_to_the_redactor() -> None:
    """Tokens of all parts, and passwords within URLs."""
    reasoner = ReasonerSettings(api_key=SecretStr("sk-ant-of-reasoner"))
    ledger = LedgerSettings(url="postgresql+psycopg://bursar:pass-of-ledger@db/bursar")
    assert set(secrets_of(Settings(reasoner=reasoner, ledger=ledger))) == {"sk-ant-of-reasoner", "pass-of-ledger"}


def test_the_key_comes_from_the_environment(tmp_path: Path) -> None:
    """Written as a name; a plain-text address to another machine is refused with the key."""
    path = tmp_path / "bursar.yaml"
    path.write_text("reasoner: {api_key: '${ANTHROPIC_API_KEY}', usd_per_day: '5.50'}\n")
    loaded = load(path, environment={"ANTHROPIC_API_KEY": KEY})
    assert loaded.settings.reasoner is not None
    assert loaded.settings.reasoner.api_key.get_secret_value() == KEY
    with pytest.raises(BadInput, match="ANTHROPIC_API_KEY is not set"):
        load(path, environment={})
    path.write_text("reasoner: {api_key: '${ANTHROPIC_API_KEY}', base_url: 'http://gateway.example.com'}\n")
    with pytest.raises(BadInput, match=r"reasoner\.base_url"):
        load(path, environment={"ANTHROPIC_API_KEY": KEY})


def test_a_transcript_is_of_one_incident_that_exists(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what to do; an incident that no model saw says how to turn it on."""
    ledger = service.bursar.ledger
    with pytest.raises(BadInput, match="name the incident"):
        show_transcripts(ledger, None, json=False)
    with pytest.raises(BadInput, match="no incident 'inc-9'"):
        show_transcripts(ledger, "inc-9", json=False)
    show_transcripts(ledger, "inc-1", json=False)
    assert "no model was asked" in capsys.readouterr().out
