"""The policy is total, its limits only lower, and it says why."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.policy import (
    LADDER,
    SHIPPED_RULES,
    Freeze,
    Limits,
    Owner,
    Policy,
    QuietHours,
    Rule,
    RulingFacts,
    When,
    explain,
    rule,
)
from agent.policy_tree import Mode
from store.model.incident import TrustNote
from store.model.ports import Capabilities
from store.model.remedy import (
    Action,
    BlockKey,
    Check,
    Notify,
    Proposal,
    Saving,
    SetModelAlias,
    SetRateLimit,
    SetSessionCap,
    Verdict,
)
from store.model.usage import TOTAL, Scope
from tests.playbooks.tables import EVERYTHING, NOW, SCOPE

CAP = SetSessionCap(target=SCOPE, max_calls=60)
STAGING = RulingFacts(
    values={"environment": frozenset({"staging"}), "team": frozenset({"search"})},
    attested_share=1.0,
    capabilities=EVERYTHING,
)
AUTO = Policy(mode="auto")


def proposal(action: Action = CAP, **more: Any) -> Proposal:
    """A small, safe cap; `more` overrides any field."""
    made = Proposal(
        remedy_id="rem-1",
        incident_id="inc-1",
        incident_revision=1,
        scope=action.target,
        playbook="session_cap",
        cause="agent_loop",
        confidence=0.9,
        gateway="guard",
        actions=(action,),
        risk="low",
        reversible=True,
        saving=Saving(low=1, mid=2 * 10**9, high=3 * 10**9, cash_mid=1, assumption="a"),
        quality_note="q",
        undo_note="u",
        check=Check(window_seconds=60, min_reduction=0.5),
        lease_seconds=3600,
        made_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )
    return made.model_copy(update=more)


def verdict(made: Proposal, policy: Policy = AUTO, facts: RulingFacts = STAGING, now: datetime = NOW) -> Verdict:
    """Only the verdict."""
    return rule(made, policy, facts, now).verdict


# --- the shipped policy


def test_the_shipped_policy_applies_small_limits_outside_production() -> None:
    """A low-risk, reversible, sure cap on staging traffic is made without asking; the ruling names its rule."""
    ruling = rule(proposal(), AUTO, STAGING, NOW)
    assert (ruling.verdict, ruling.rule, ruling.lowered_by) == ("apply", SHIPPED_RULES[0].name, ())


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 0.79},
        {"confidence": float("nan")},
        {"risk": "medium"},
        {"playbook": "model_downgrade"},
        {"reversible": False},
    ],
)
def test_the_shipped_policy_asks_about_everything_else(change: dict[str, Any]) -> None:
    """One condition that fails, and people decide."""
    assert verdict(proposal(**change)) == "ask"


@pytest.mark.parametrize("seen", [set(), {"production"}, {"staging", "production"}, {"staging", "(none)"}])
def test_traffic_that_may_be_production_is_asked_about(seen: set[str]) -> None:
    """Mixed traffic, traffic without an environment and traffic that nobody has seen are not staging."""
    facts = STAGING.model_copy(update={"values": {"environment": frozenset(seen)}})
    assert verdict(proposal(), facts=facts) == "ask"


def test_as_shipped_it_only_watches() -> None:
    """The default mode is shadow."""
    assert rule(proposal(), Policy(), STAGING, NOW).lowered_by == ("mode:shadow",)
    assert verdict(proposal(), Policy()) == "observe"


def test_a_note_needs_nobodys_approval() -> None:
    """Nothing would change at a gateway: it is recorded, in every mode."""
    made = proposal(Notify(target=SCOPE, message="m"), playbook="notify")
    ruling = rule(made, AUTO, STAGING, NOW)
    assert (ruling.verdict, ruling.rule) == ("observe", "nothing-to-change")


# --- rules


def test_the_first_rule_that_matches_wins() -> None:
    """Order decides, not strictness."""
    ask = Rule(name="loops-ask", when=When(causes=("agent_loop",)), verdict="ask")
    anything = Rule(name="anything", verdict="apply")
    assert rule(proposal(), Policy(mode="auto", rules=(ask, anything)), STAGING, NOW).rule == "loops-ask"
    assert rule(proposal(), Policy(mode="auto", rules=(anything, ask)), STAGING, NOW).rule == "anything"


def test_no_rule_means_ask() -> None:
    """The default stands at the end of every list."""
    ruling = rule(proposal(), Policy(mode="auto", rules=()), STAGING, NOW)
    assert (ruling.verdict, ruling.rule) == ("ask", "default")


@pytest.mark.parametrize(
    ("when", "word"),
    [
        ({"causes": ["leaked_key"]}, "cause agent_loop"),
        ({"playbooks": ["rate_limit"]}, "playbook session_cap"),
        ({"risk": ["high"]}, "risk low"),
        ({"environments": ["dev"]}, "environment of the traffic (staging)"),
        ({"teams": ["ads"]}, "team of the traffic (search)"),
        ({"min_confidence": 0.95}, "confidence 0.90"),
        ({"max_saving_usd_per_day": "1.99"}, "$2.00 a day is above $1.99"),
        ({"reversible": False}, "it is reversible"),
    ],
)
def test_each_condition_is_explained_when_it_fails(when: dict[str, object], word: str) -> None:
    """`policy explain` says which condition did not hold."""
    policy = Policy.model_validate({"mode": "auto", "rules": [{"name": "r", "when": when, "verdict": "apply"}]})
    lines = {line.name: line for line in explain(proposal(), policy, STAGING, NOW).rules}
    assert not lines["r"].matched
    assert word in lines["r"].why
    assert lines["default"].matched


def test_the_explanation_lists_every_rule_in_order_and_concludes_in_the_ruling() -> None:
    """First what is built in, then the operator's, then the default; exactly the ruling's rule decided."""
    told = explain(proposal(), AUTO, STAGING, NOW)
    assert [line.name for line in told.rules] == ["nothing-to-change", SHIPPED_RULES[0].name, "default"]
    assert [line.name for line in told.rules if line.matched] == [told.ruling.rule]
    assert told.ruling == rule(proposal(), AUTO, STAGING, NOW)


# --- limits

NO_PROBE = EVERYTHING.model_copy(update={"probe": False})
HANDLES_NOTHING = EVERYTHING.model_copy(update={"handles": frozenset()})
DOUBT = TrustNote(scope=Scope.of(team="search"), kind="silent_source", says="the gateway is silent")
ANYTHING = (Rule(name="anything", verdict="apply"),)


@pytest.mark.parametrize(
    ("facts", "cap", "name"),
    [
        ({"kill_switch": True}, "observe", "kill-switch"),
        ({"trust": (DOUBT,)}, "observe", "trust:silent_source"),
        ({"touched": (Scope.of(api_key_id="bursar"),)}, "observe", "never-touch"),
        ({"capabilities": HANDLES_NOTHING}, "observe", "gateway"),
        ({"capabilities": None}, "observe", "gateway"),
        ({"capabilities": NO_PROBE}, "ask", "capabilities"),
        ({"attested_share": 0.49}, "ask", "attested"),
        ({"attested_share": float("nan")}, "ask", "attested"),
        ({"effects_last_hour": 3}, "ask", "effects-per-hour"),
        ({"effects_last_day": 10}, "ask", "effects-per-day"),
        ({"effects_in_scope_last_day": 2}, "ask", "effects-per-scope"),
        ({"scopes_last_day": 5}, "ask", "scopes-per-day"),
        ({"spend_nanos_per_day": 5001 * 10**9}, "ask", "spend-per-day"),
    ],
)
def test_each_fact_lowers_the_verdict_and_is_named(facts: dict[str, object], cap: Verdict, name: str) -> None:
    """A stop leaves nothing to decide; a cap leaves it to people."""
    ruling = rule(proposal(), AUTO, STAGING.model_copy(update=facts), NOW)
    assert ruling.verdict == cap
    assert name in ruling.lowered_by
    assert ruling.rule == SHIPPED_RULES[0].name


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (BlockKey(target=Scope.of(api_key_id="k")), "block-key"),
        (SetRateLimit(target=SCOPE, requests_per_minute=9, was={"requests_per_minute": 5}), "loosening"),
    ],
)
def test_no_rule_lets_a_block_or_a_looser_limit_pass_without_a_person(action: Action, name: str) -> None:
    """Not even one that applies everything."""
    ruling = rule(proposal(action), Policy(mode="auto", rules=ANYTHING), STAGING, NOW)
    assert (ruling.verdict, ruling.lowered_by) == ("ask", (name,))


def test_bursars_own_key_is_never_touched() -> None:
    """A target that lies in the list, or that contains what is listed."""
    policy = Policy(mode="auto", rules=ANYTHING, never_touch=(Scope.of(api_key_id="bursar"),))
    for target in (Scope.of(api_key_id="bursar", team="search"), TOTAL):
        assert verdict(proposal(SetSessionCap(target=target, max_calls=9)), policy) == "observe"
    assert verdict(proposal(), policy) == "apply"


def test_doubt_about_other_traffic_does_not_matter() -> None:
    """Only a note whose scope overlaps the target's holds it back."""
    elsewhere = DOUBT.model_copy(update={"scope": Scope.of(team="ads")})
    assert verdict(proposal(), facts=STAGING.model_copy(update={"trust": (elsewhere,)})) == "apply"


@pytest.mark.parametrize(
    ("hour", "expected"), [(21, "apply"), (22, "ask"), (23, "ask"), (5, "ask"), (6, "apply"), (12, "apply")]
)
def test_quiet_hours_run_over_midnight_in_local_time(hour: int, expected: Verdict) -> None:
    """22:00 to 06:00 in Berlin, an hour ahead of UTC in November."""
    quiet = QuietHours(start=time(22), end=time(6), time_zone="Europe/Berlin")
    policy = Policy(mode="auto", limits=Limits(quiet_hours=quiet))
    now = datetime(2026, 11, 10, hour, tzinfo=UTC) - timedelta(hours=1)
    assert verdict(proposal(), policy, now=now) == expected


def test_a_freeze_is_half_open_and_named() -> None:
    """From its start until just before its end people decide."""
    freeze = Freeze(name="black-friday", start=NOW, end=NOW + timedelta(days=1))
    policy = Policy(mode="auto", limits=Limits(freeze=(freeze,)))
    assert rule(proposal(), policy, STAGING, NOW).lowered_by == ("freeze:black-friday",)
    assert verdict(proposal(), policy, now=freeze.end) == "apply"


def test_what_cannot_be_undone_is_asked_about_unless_the_operator_says_otherwise() -> None:
    """`only_reversible` is a limit that the operator may take off."""
    made = proposal(reversible=False)
    assert verdict(made, Policy(mode="auto", rules=ANYTHING)) == "ask"
    assert verdict(made, Policy(mode="auto", rules=ANYTHING, limits=Limits(only_reversible=False))) == "apply"


# --- people


def test_nobody_is_listed_so_nobody_may_approve() -> None:
    """An empty list means nobody."""
    assert rule(proposal(), AUTO, STAGING, NOW).approvers == ()


def test_without_an_owner_the_global_list_approves() -> None:
    """Except whoever made the proposal."""
    policy = Policy(mode="ask", approvers=("ann", "bob", "ann"))
    assert rule(proposal(), policy, STAGING, NOW).approvers == ("ann", "bob")
    assert rule(proposal(made_by="ann"), policy, STAGING, NOW).approvers == ("bob",)


def test_an_owners_list_stands_in_for_the_global_one() -> None:
    """Given it counts, also where it is empty; not given the global list holds."""
    own = Owner(scope={"team": "sea*"}, approvers=("sue",))
    for owner, expected in (
        (own, ("sue",)),
        (own.model_copy(update={"approvers": ()}), ()),
        (own.model_copy(update={"approvers": None}), ("ann",)),
        (own.model_copy(update={"scope": {"team": "ads"}}), ("ann",)),
    ):
        policy = Policy(mode="ask", approvers=("ann",), owners=(owner,))
        assert rule(proposal(), policy, STAGING, NOW).approvers == expected


def test_an_owner_is_known_by_the_traffic_where_the_target_does_not_name_the_team() -> None:
    """A key that only one team uses is that team's; a key of two teams is neither's."""
    policy = Policy(approvers=("ann",), owners=(Owner(scope={"team": "search"}, approvers=("sue",)),))
    made = proposal(SetSessionCap(target=Scope.of(api_key_id="k"), max_calls=9))
    assert rule(made, policy, STAGING, NOW).approvers == ("sue",)
    shared = STAGING.model_copy(update={"values": {"team": frozenset({"search", "ads"})}})
    assert rule(made, policy, shared, NOW).approvers == ("ann",)


def test_owners_may_tighten_but_not_loosen() -> None:
    """Their own people approve a lower limit on their scope, never a higher one or another model."""
    policy = Policy(approvers=("ann",), owners=(Owner(scope={"team": "search"}, people=("sue",)),))
    looser = SetSessionCap(target=SCOPE, max_calls=60, was={"max_calls": 30})
    alias = SetModelAlias(target=SCOPE, from_model="a", to_model="b")
    assert rule(proposal(), policy, STAGING, NOW).approvers == ("ann", "sue")
    assert rule(proposal(looser), policy, STAGING, NOW).approvers == ("ann",)
    assert rule(proposal(alias), policy, STAGING, NOW).approvers == ("ann",)
    strict = policy.model_copy(update={"owners_may_tighten": False})
    assert rule(proposal(), strict, STAGING, NOW).approvers == ("ann",)


def test_the_quorum_goes_by_risk() -> None:
    """High risk may need two."""
    policy = Policy.model_validate({"quorum": {"high": 2}})
    assert rule(proposal(risk="high"), policy, STAGING, NOW).quorum == 2
    assert rule(proposal(), policy, STAGING, NOW).quorum == 1


# --- the tree


@pytest.mark.parametrize(
    "tree",
    [
        {"modus": "auto"},
        {"mode": "yolo"},
        {"rules": [{"name": "a", "verdict": "apply", "when": {"team": ["x"]}}]},
        {"rules": [{"name": "a", "verdict": "apply"}, {"name": "a", "verdict": "ask"}]},
        {"rules": [{"name": "Not A Slug", "verdict": "ask"}]},
        {"limits": {"effects_per_hour": -1}},
        {"limits": {"min_attested_share": 0}},
        {"limits": {"quiet_hours": {"start": "22:00", "end": "06:00", "time_zone": "Mars/Base"}}},
        {"owners": [{"scope": {}}]},
        {"never_touch": [{"planet": "mars"}]},
    ],
)
def test_a_wrong_policy_is_refused(tree: dict[str, object]) -> None:
    """Unknown keys, unknown names, values out of bounds."""
    with pytest.raises(ValidationError):
        Policy.model_validate(tree)


def test_yaml_hours_mean_what_is_written() -> None:
    """YAML reads an unquoted 22:00 as 1320; it is ten in the evening all the same."""
    quiet = QuietHours.model_validate({"start": 1320, "end": "06:30"})
    assert (quiet.start, quiet.end) == (time(22), time(6, 30))


def test_the_version_changes_with_the_policy_and_only_with_it() -> None:
    """Equal policies have one version, and every ruling carries it."""
    assert (
        Policy().version == Policy.model_validate({}).version == rule(proposal(), Policy(), STAGING, NOW).policy_version
    )
    assert Policy(limits=Limits(effects_per_hour=4)).version != Policy().version


# --- properties

_VERDICTS = st.sampled_from(LADDER)
_SHARE = st.one_of(st.floats(0, 1), st.just(float("nan")))
_ACTIONS: st.SearchStrategy[Action] = st.sampled_from(
    [
        CAP,
        SetRateLimit(target=SCOPE, requests_per_minute=9),
        SetRateLimit(target=SCOPE, requests_per_minute=9, was={"requests_per_minute": 5}),
        SetModelAlias(target=Scope.of(team="search"), from_model="a", to_model="b"),
        BlockKey(target=Scope.of(api_key_id="k")),
        Notify(target=TOTAL, message="m"),
    ]
)
_PROPOSALS = st.builds(
    lambda action, playbook, risk, reversible, confidence: proposal(
        action, playbook=playbook, risk=risk, reversible=reversible, confidence=confidence
    ),
    _ACTIONS,
    st.sampled_from(["session_cap", "rate_limit", "other"]),
    st.sampled_from(["low", "medium", "high"]),
    st.booleans(),
    _SHARE,
)
_WHEN = st.builds(
    When,
    playbooks=st.one_of(st.none(), st.just(("session_cap",))),
    risk=st.one_of(st.none(), st.just(("low", "medium"))),
    environments=st.one_of(st.none(), st.just(("staging",)), st.just(())),
    min_confidence=st.one_of(st.none(), st.floats(0, 1)),
    max_saving_usd_per_day=st.one_of(st.none(), st.just(Decimal(1))),
)
_RULES = st.lists(st.tuples(_WHEN, _VERDICTS), max_size=3).map(
    lambda pairs: tuple(Rule(name=f"r{i}", when=when, verdict=v) for i, (when, v) in enumerate(pairs))
)
_LIMITS = st.builds(
    Limits,
    effects_per_hour=st.integers(0, 3),
    effects_per_scope_per_day=st.integers(0, 3),
    min_confidence=st.floats(0, 1),
    only_reversible=st.booleans(),
    quiet_hours=st.one_of(st.none(), st.builds(QuietHours, start=st.times(), end=st.times())),
)
_POLICIES = st.builds(
    Policy,
    mode=st.sampled_from(["shadow", "ask", "auto"]),
    rules=_RULES,
    limits=_LIMITS,
    never_touch=st.sampled_from([(), (Scope.of(team="ads"),), (SCOPE,)]),
)
_CAPABILITIES = st.builds(
    Capabilities,
    handles=st.frozensets(st.sampled_from(sorted(EVERYTHING.handles))),
    readback=st.booleans(),
    marker=st.booleans(),
    cas=st.booleans(),
    idempotency=st.booleans(),
    probe=st.booleans(),
    propagation_seconds=st.just(1),
)
_FACTS = st.builds(
    RulingFacts,
    values=st.dictionaries(st.sampled_from(["environment", "team"]), st.frozensets(st.sampled_from(["staging", "x"]))),
    spend_nanos_per_day=st.integers(0, 10**14),
    attested_share=_SHARE,
    effects_last_hour=st.integers(0, 4),
    effects_in_scope_last_day=st.integers(0, 4),
    trust=st.sampled_from([(), (DOUBT,)]),
    capabilities=st.one_of(st.none(), st.just(EVERYTHING), _CAPABILITIES),
    kill_switch=st.booleans(),
)
_NOW = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 zoned by timezones


@settings(deadline=None, max_examples=300)
@given(_PROPOSALS, _POLICIES, _FACTS, _NOW)
def test_it_answers_everything_and_limits_only_lower(
    made: Proposal, policy: Policy, facts: RulingFacts, now: datetime
) -> None:
    """Whatever comes, one verdict: the first matching rule's or lower, with a name for every step down."""
    told = explain(made, policy, facts, now)
    ruling = told.ruling
    first = next(line for line in told.rules if line.matched)
    assert ruling.rule == first.name
    assert LADDER.index(ruling.verdict) <= LADDER.index(first.verdict)
    assert bool(ruling.lowered_by) == (ruling.verdict != first.verdict)
    assert ruling.policy_version == policy.version
    assert ruling == rule(made, policy, facts, now)


@settings(deadline=None, max_examples=300)
@given(_PROPOSALS, _POLICIES, _FACTS, _NOW)
def test_what_is_applied_by_rule_is_safe(made: Proposal, policy: Policy, facts: RulingFacts, now: datetime) -> None:
    """Mode auto, no kill switch, trusted data, a gateway that reads back, marks and probes, and never a block."""
    if rule(made, policy, facts, now).verdict != "apply":
        return
    assert policy.mode == "auto"
    assert not facts.kill_switch
    assert not (facts.trust and made.scope.overlaps(DOUBT.scope))
    can = facts.capabilities
    assert can is not None
    assert can.readback
    assert can.marker
    assert can.probe
    assert made.actions[0].kind in can.handles - {"block_key"}
    assert made.confidence >= policy.limits.min_confidence
    assert made.reversible or not policy.limits.only_reversible
    assert facts.effects_last_hour < policy.limits.effects_per_hour


@settings(deadline=None, max_examples=200)
@given(_PROPOSALS, _POLICIES, _FACTS, _NOW, st.sampled_from(["kill", "trust", "counts", "shadow", "never"]))
def test_one_more_limit_never_raises_a_verdict(
    made: Proposal, policy: Policy, facts: RulingFacts, now: datetime, more: str
) -> None:
    """Monotone: the world getting worse or the policy stricter never allows more."""
    before = verdict(made, policy, facts, now)
    if more == "kill":
        facts = facts.model_copy(update={"kill_switch": True})
    elif more == "trust":
        facts = facts.model_copy(update={"trust": (DOUBT.model_copy(update={"scope": TOTAL}),)})
    elif more == "counts":
        facts = facts.model_copy(update={"effects_last_hour": 99, "scopes_last_day": 99})
    elif more == "shadow":
        policy = policy.model_copy(update={"mode": "shadow"})
    else:
        policy = policy.model_copy(update={"never_touch": (TOTAL,)})
    after = verdict(made, policy, facts, now)
    assert LADDER.index(after) <= LADDER.index(before)
    if more in {"kill", "shadow", "never"}:
        assert after == "observe"


@pytest.mark.parametrize(("mode", "cap"), [("shadow", "observe"), ("ask", "ask"), ("auto", "apply")])
def test_the_mode_caps_the_verdict(mode: Mode, cap: Verdict) -> None:
    """One visible switch."""
    assert verdict(proposal(), Policy(mode=mode)) == cap
