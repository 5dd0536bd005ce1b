"""A remedy acts only where the evidence points, and never on what must not be touched."""

import pytest

from playbooks.direction import changes, loosens, tightens
from playbooks.targets import is_named, limit_target, touches
from store.model.remedy import Action, BlockKey, Notify, SetModelAlias, SetOutputCap, SetPromptCache, SetRateLimit
from store.model.usage import TOTAL, Scope
from tests.playbooks.tables import SCOPE, finding

KEY = Scope.of(team="search", app="indexer", api_key_id="k")
RUN = Scope.of(team="search", app="indexer", session_id="s")


@pytest.mark.parametrize(
    ("focus", "target"),
    [
        (SCOPE, SCOPE),
        (KEY, KEY),
        (RUN, SCOPE),
        (Scope.of(session_id="s"), SCOPE),
        (TOTAL, SCOPE),
        (Scope.of(team="search"), SCOPE),
        (Scope.of(api_key_id="k"), Scope.of(api_key_id="k")),
    ],
)
def test_a_limit_acts_on_the_lasting_part_of_the_focus(focus: Scope, target: Scope) -> None:
    """A single run is no target, and a focus wider than the scope is not followed."""
    assert limit_target(finding("agent_loop", focus=focus)) == target


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (SCOPE, True),
        (KEY, True),
        (Scope.of(api_key_id="k"), True),
        (Scope.of(api_key_id="rival"), False),
        (Scope.of(team="search"), False),
        (TOTAL, False),
        (Scope.of(team="search", app="indexer", api_key_id="rival"), False),
        (Scope.of(team="ads"), False),
    ],
)
def test_only_what_the_evidence_names_may_be_acted_upon(target: Scope, named: bool) -> None:
    """The scope, the focus, a part of them or an actor in them; nothing wider, even if evidence looked at it."""
    found = finding("leaked_key", focus=KEY, evidence=(TOTAL, Scope.of(team="search"), Scope.of(team="ads")))
    assert is_named(target, found) is named


def test_the_never_touch_list_holds_both_ways() -> None:
    """What lies in a listed scope is untouchable, and so is what contains one."""
    listed = (Scope.of(api_key_id="bursar"),)
    assert touches(Scope.of(api_key_id="bursar", team="finops"), listed) == listed[0]
    assert touches(TOTAL, listed) == listed[0]
    assert touches(Scope.of(api_key_id="other"), listed) is None


@pytest.mark.parametrize(
    ("action", "tighter", "looser"),
    [
        (SetRateLimit(target=SCOPE, requests_per_minute=10), True, False),
        (SetRateLimit(target=SCOPE, requests_per_minute=10, was={"requests_per_minute": 20}), True, False),
        (SetRateLimit(target=SCOPE, requests_per_minute=10, was={"requests_per_minute": 5}), False, True),
        (SetRateLimit(target=SCOPE, requests_per_minute=10, was={"tokens_per_minute": 5}), True, False),
        (SetOutputCap(target=SCOPE, max_tokens=500, was={"max_tokens": 100}), False, True),
        (BlockKey(target=KEY), True, False),
        (Notify(target=SCOPE, message="m"), True, False),
        (SetModelAlias(target=SCOPE, from_model="a", to_model="b"), False, False),
        (SetPromptCache(target=SCOPE, ttl="off"), False, False),
    ],
)
def test_the_direction_of_an_action(action: Action, tighter: bool, looser: bool) -> None:
    """Limits go down or up against what the gateway held; a model or a cache is neither."""
    assert (tightens(action), loosens(action)) == (tighter, looser)


def test_setting_what_is_set_changes_nothing() -> None:
    """An absent limit and one of None are the same."""
    held = SetRateLimit(target=SCOPE, requests_per_minute=10, was={"requests_per_minute": 10})
    assert not changes(held)
    assert changes(SetRateLimit(target=SCOPE, requests_per_minute=10))
    assert not changes(Notify(target=SCOPE, message="m"))
