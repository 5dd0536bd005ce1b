"""The guard as a gateway: the shared checks over real sockets, and what only several proxies can show."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from store.model.remedy import SetModelAlias, SetRateLimit
from store.model.usage import Scope
from tests.checks.check_actuator import CAP, MINE, OTHER_VALUE, TARGET, CheckActuator, Rig
from tests.tools.actuators.rig import POLL_SECONDS, Installation, installation
from tools.actuators.guard import GuardGateway, Words


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path) as found:
        yield found


class TestSharedChecks(CheckActuator):
    """What every actuator must do."""

    @pytest.fixture
    def rig(self, here: Installation) -> Rig:
        """The guard with one proxy."""
        return here.rig()


def test_in_force_means_every_live_proxy(here: Installation) -> None:
    """One that has not polled, or is off, or refuses the rule by its ceiling file, holds the answer back."""
    rig, second = here.rig(), here.another_proxy("proxy-2")
    second.poll()
    rig.set(CAP)
    here.proxy.poll()
    assert here.gateway.probe(CAP, marker=MINE).detail == "proxy proxy-2 has not fetched the rules yet"
    second.poll()
    assert here.gateway.probe(CAP, marker=MINE).status == "yes"
    second.refuse = {MINE: "the ceiling file does not allow set_rate_limit"}
    second.report()
    refused = here.gateway.probe(CAP, marker=MINE)
    assert refused.status == "no"
    assert "the ceiling file does not allow set_rate_limit" in refused.detail
    second.refuse, second.off = {}, True
    second.report()
    assert here.gateway.probe(CAP, marker=MINE).detail == "proxy proxy-2 is switched off by its operator"
    second.close()
    here.clock.move(3 * POLL_SECONDS + 1)
    assert here.gateway.probe(CAP, marker=MINE).status == "yes", "a proxy that went away is not waited for"


def test_without_a_live_proxy_nothing_is_known(here: Installation) -> None:
    """The rule book alone proves nothing."""
    here.rig().set(CAP)
    here.clock.now += timedelta(seconds=3 * POLL_SECONDS + 1)
    found = here.gateway.probe(CAP, marker=MINE)
    assert (found.status, "no proxy reports" in found.detail) == ("unsure", True)


def test_a_rule_that_traffic_does_not_meet_is_not_in_force(here: Installation) -> None:
    """Every proxy has the rules, and the one that answered does not follow them."""
    here.rig().set(CAP)
    here.proxy.poll()
    here.proxy.refuse = {MINE: "said only afterwards"}
    found = here.gateway.probe(CAP, marker=MINE)
    assert (found.status, found.detail) == ("no", "a request of the target does not meet the rule at the proxy")


def test_a_probe_pretends_the_model_of_an_alias(here: Installation) -> None:
    """The swap is asked for by the model that it replaces; `requested_model` is the guard's `model`."""
    alias = SetModelAlias(target=TARGET, from_model="big", to_model="small")
    limit = SetRateLimit(target=Scope.of(requested_model="big"), requests_per_minute=1)
    here.rig().set(alias, key="a")
    here.rig().set(limit, key="b")
    here.proxy.poll()
    assert here.gateway.probe(alias, marker=MINE).status == "yes"
    assert here.gateway.probe(limit, marker=MINE).status == "yes"
    assert here.proxy.rules is not None
    targets = [rule["action"]["target"] for rule in here.proxy.rules["rules"]]
    assert {"model": "big"} in targets


def test_what_the_guard_cannot_tell_is_refused(here: Installation) -> None:
    """A target that no request can be matched to would be a rule without effect."""
    for target in (Scope.of(provider="anthropic"), Scope.of(requested_model="a", model="b")):
        answer = here.rig().set(SetRateLimit(target=target, requests_per_minute=1))
        assert answer.status == "refused"
        assert "the guard cannot tell" in answer.detail


def test_a_rule_says_why_until_when_and_whom_to_ask(here: Installation) -> None:
    """What the proxy gets is what its clients are told."""
    here.rig().set(CAP, seconds=600)
    here.proxy.poll()
    assert here.proxy.rules is not None
    [rule] = here.proxy.rules["rules"]
    assert rule == {
        "remedy_id": MINE,
        "revision": 1,
        "expires_at": "2026-11-02T09:10:00Z",
        "reason": "spend rose",
        "owner": "#ops",
        "action": {
            "kind": "set_rate_limit",
            "target": {"team": "search", "app": "indexer"},
            "was": {},
            "requests_per_minute": 60,
            "tokens_per_minute": None,
        },
    }


def test_a_persons_rule_is_served_as_such_and_ends_with_the_set(here: Installation) -> None:
    """It has no remedy and no end of its own; it is issued anew as long as Bursar lives."""
    here.rig().edit(CAP, OTHER_VALUE)
    here.proxy.poll()
    assert here.proxy.rules is not None
    [rule] = here.proxy.rules["rules"]
    assert (rule["remedy_id"], rule["expires_at"]) == ("by-hand", here.proxy.rules["expires_at"])


def test_rules_are_issued_anew_long_before_they_expire(here: Installation) -> None:
    """The same rules get a new end, and so a new ETag, under the same sequence."""
    here.rig().set(CAP, seconds=90_000)
    here.proxy.poll()
    assert here.proxy.rules is not None
    before, ends = here.proxy.etag, here.proxy.rules["expires_at"]
    here.clock.move(60)
    assert here.proxy.etag == before
    here.clock.move(3_600)
    assert here.proxy.etag != before
    assert here.proxy.rules["expires_at"] > ends
    assert here.proxy.rules["sequence"] == 1
    assert here.gateway.probe(CAP, marker=MINE).status == "yes"


def test_an_end_is_served_as_a_change(here: Installation) -> None:
    """After a lease's end the set has one rule less and a higher sequence."""
    here.rig().set(CAP, seconds=60)
    here.proxy.poll()
    here.clock.move(60)
    assert here.proxy.rules is not None
    assert (here.proxy.rules["sequence"], here.proxy.rules["rules"]) == (2, [])


def test_unchanged_rules_are_not_sent_again(here: Installation) -> None:
    """A poll with the ETag in force gets 304."""
    assert here.proxy.poll() == 304
    here.rig().set(CAP)
    assert [here.proxy.poll(), here.proxy.poll()] == [200, 304]


def test_a_hung_proxy_is_unsure(here: Installation) -> None:
    """Whoever answers in place of the guard proves nothing; nobody waits long for it."""
    here.rig().set(CAP)
    here.proxy.poll()
    for fault, says in (("garbage", "not the guard"), ("refused", "not the guard"), ("lost_answer", "Protocol")):
        here.proxy.faults.append(fault)
        found = here.gateway.probe(CAP, marker=MINE)
        assert found.status == "unsure"
        assert says in found.detail
    assert here.gateway.probe(CAP, marker=MINE).status == "yes"


def test_without_a_proxy_address_it_claims_no_probe(here: Installation) -> None:
    """The policy then never lets it act without a person."""
    blind = here.settings.model_copy(update={"proxy_url": None})
    gateway = GuardGateway(
        book=here.ledger, signer=here.signer, settings=blind, words_for=lambda _: Words(1, "", ""), clock=here.clock
    )
    assert not gateway.capabilities().probe
    assert gateway.probe(CAP, marker=MINE).status == "unsure"
