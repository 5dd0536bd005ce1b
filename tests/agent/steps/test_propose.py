"""Propose puts the best remedy first, fills what it would replace, and drops what it may not do."""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

import pytest

from agent.steps.propose import propose
from agent.walk import effects, standings
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.registry import PLAYBOOKS, parameters
from playbooks.session_cap import SessionCap
from store.model.canonical import stable_id
from store.model.incident import Finding
from store.model.ports import GatewayReader, Observed
from store.model.prices import PriceKey, PriceTable
from store.model.remedy import Action, BlockKey, Notify, Proposal, SetModelAlias, SetSessionCap
from store.model.usage import TOTAL, Scope, UsageRecord
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.agent.steps.gateway import LookedAt
from tests.playbooks.tables import EVERYTHING, HAIKU, NOW, OPUS, PRICES, SCOPE, SONNET, every, finding, incident

LOOP = finding("agent_loop", 0.8, others=(("retry_storm", 0.1),), facts={"session_calls_p99_normal": 30})
RUNAWAY = every(10, 600, session_id="loop")


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    """An empty warehouse in memory."""
    made = open_duckdb(None, clock=lambda: NOW)
    yield made
    made.close()


def _prices(_: Collection[PriceKey]) -> PriceTable:
    return PRICES


def proposed(
    warehouse: DuckDBWarehouse,
    found: Finding = LOOP,
    records: Sequence[UsageRecord] = tuple(RUNAWAY),
    *,
    reader: GatewayReader | None = None,
    playbooks: Sequence[Playbook] = PLAYBOOKS,
    never_touch: Sequence[Scope] = (),
    params: dict[str, Params] | None = None,
) -> list[Proposal]:
    """What the step proposes of these records."""
    warehouse.append(records)
    return propose(
        finding=found,
        incident=incident(),
        warehouse=warehouse,
        price_table_for=_prices,
        reader=reader,
        playbooks=playbooks,
        never_touch=never_touch,
        now=NOW,
        parameters=params,
    )


def names(proposals: Sequence[Proposal]) -> list[str]:
    """The playbooks, best first."""
    return [made.playbook for made in proposals]


def test_the_best_remedy_is_first_and_notify_is_always_there(warehouse: DuckDBWarehouse) -> None:
    """A loop gets a session cap with the gateway's prior value, version, and a day to decide."""
    best, *others = proposed(warehouse, reader=LookedAt({"max_calls": 500}))
    assert best.actions == (SetSessionCap(target=SCOPE, max_calls=60, was={"max_calls": 500}),)
    assert (best.gateway, best.base_version, best.scope) == ("guard", "etag-1", SCOPE)
    assert best.remedy_id == stable_id("rem", "inc-1", "session_cap", SCOPE.as_dict())
    assert (best.revision, best.incident_revision) == (1, 1)
    assert best.expires_at - best.made_at == timedelta(hours=24)
    assert best.rank > 0
    assert names(others) == ["notify"]
    assert [made.rank for made in (best, *others)] == sorted((made.rank for made in (best, *others)), reverse=True)


def test_the_same_finding_gives_the_same_proposals(warehouse: DuckDBWarehouse) -> None:
    """Running again changes nothing, so a crashed case may simply run again."""
    assert proposed(warehouse, reader=LookedAt()) == proposed(warehouse, reader=LookedAt())


def test_growth_is_left_alone_whatever_a_limit_would_save(warehouse: DuckDBWarehouse) -> None:
    """Where growth is the likely cause, refusing requests is never put forward."""
    found = finding("organic_growth", 0.5, others=(("agent_loop", 0.5),), facts={"session_calls_p99_normal": 30})
    proposals = proposed(warehouse, found, reader=LookedAt())
    assert names(proposals) == ["notify", "session_cap"]
    assert proposals[1].rank <= 0


def test_without_a_gateway_it_still_says_what_could_be_done(warehouse: DuckDBWarehouse) -> None:
    """A backtest has no gateway: the draft stands, with nothing read."""
    best = proposed(warehouse)[0]
    assert (best.playbook, best.gateway, best.base_version, best.actions[0].was) == ("session_cap", "none", None, {})


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        (LookedAt(readable=False), "could not be read: GET set_session_cap: 503"),
        (LookedAt({"max_calls": 500}, marker="rem-other"), "remedy rem-other is in force there"),
        (LookedAt({"max_calls": 60}), "holds that value already"),
        (LookedAt({"max_calls": 40}), "holds a tighter limit"),
        (LookedAt(capabilities=EVERYTHING.model_copy(update={"handles": frozenset()})), "cannot do set_session_cap"),
    ],
)
def test_what_the_gateway_rules_out_is_dropped_with_its_reason(
    warehouse: DuckDBWarehouse, reader: LookedAt, reason: str
) -> None:
    """The owner still hears of it, and reads why nothing else is proposed."""
    proposals = proposed(warehouse, reader=reader)
    assert names(proposals) == ["notify"]
    assert reason in proposals[0].quality_note


@pytest.mark.parametrize("listed", [Scope.of(team="search"), Scope.of(api_key_id="key-1"), TOTAL])
def test_the_never_touch_list_is_kept_by_scope_and_by_recorded_traffic(
    warehouse: DuckDBWarehouse, listed: Scope
) -> None:
    """Also a listed key whose calls merely lie in the target's traffic."""
    proposals = proposed(warehouse, reader=LookedAt(), never_touch=(listed,))
    assert names(proposals) == ["notify"]
    assert "is never touched" in proposals[0].quality_note


class Rogue(Playbook):
    """A playbook whose action somebody else has chosen, as a hijacked model would."""

    name = "rogue"
    causes = SessionCap.causes
    kinds = ("set_session_cap", "set_model_alias")
    risk = "low"
    reversible = True
    params = SessionCap.params
    harm_if_wrong = 0.5

    def __init__(self, action: Action) -> None:
        self.action = action

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The honest draft with another action."""
        draft = SessionCap().propose(finding, facts, params)
        return None if draft is None else draft.model_copy(update={"actions": (self.action,)})


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (SetSessionCap(target=Scope.of(team="rival"), max_calls=1), "not in the evidence"),
        (SetSessionCap(target=TOTAL, max_calls=1), "not in the evidence"),
        (BlockKey(target=Scope.of(api_key_id="rival")), "not an action of this playbook"),
        (SetModelAlias(target=SCOPE, from_model=SONNET, to_model=OPUS), "not a model that traffic may be sent to"),
        (SetModelAlias(target=SCOPE, from_model=SONNET, to_model="evil"), "not a model that traffic may be sent to"),
    ],
)
def test_an_action_out_of_bounds_is_dropped_whoever_chose_it(
    warehouse: DuckDBWarehouse, action: Action, reason: str
) -> None:
    """Target, kind and model are checked by code after the playbook."""
    proposals = proposed(warehouse, reader=LookedAt(), playbooks=(Rogue(action), PLAYBOOKS[-1]))
    assert names(proposals) == ["notify"]
    assert reason in proposals[0].quality_note


def test_a_model_of_the_catalogue_is_a_known_one(warehouse: DuckDBWarehouse) -> None:
    """A cheaper model of the family is within bounds."""
    fine = Rogue(SetModelAlias(target=SCOPE, from_model=SONNET, to_model=HAIKU))
    assert [made.actions for made in proposed(warehouse, reader=LookedAt(), playbooks=(fine,))] == [(fine.action,)]


def test_an_alias_acts_on_the_app_where_the_finding_is_about_one_of_its_models(warehouse: DuckDBWarehouse) -> None:
    """Else its own success would move the traffic out of the scope that is verified."""
    at_opus = Scope.of(team="search", app="indexer", model=OPUS)
    found = finding("model_switch", scope=at_opus, focus=at_opus, facts={"model": OPUS, "previous_model": SONNET})
    best = proposed(warehouse, found, every(10, 200, model=OPUS, requested_model=OPUS), reader=LookedAt())[0]
    assert (best.playbook, best.scope) == ("model_pin", SCOPE)
    assert best.actions == (SetModelAlias(target=SCOPE, from_model=OPUS, to_model=SONNET),)


def test_normal_is_asked_of_the_whole_week_before(warehouse: DuckDBWarehouse) -> None:
    """Sessions of 50 calls on another day are normal, whatever this hour of the week had."""
    monday = every(60, 50, start=NOW - timedelta(days=3), first=5000, session_id="long")
    best = proposed(warehouse, records=[*RUNAWAY, *monday], reader=LookedAt())[0]
    assert best.actions[0].to == {"max_calls": 100}


def test_two_playbooks_with_one_plan_are_one_proposal(warehouse: DuckDBWarehouse) -> None:
    """Back to Sonnet is also one step down from Opus: the better-founded one stays."""
    found = finding("model_switch", facts={"model": OPUS, "previous_model": SONNET})
    records = every(10, 200, model=OPUS, requested_model="smart")
    everyone = parameters({"model_downgrade": {"canary_percent": 100}})
    assert names(proposed(warehouse, found, records, reader=LookedAt(), params=everyone)) == ["model_pin", "notify"]


def test_the_operators_parameters_are_used(warehouse: DuckDBWarehouse) -> None:
    """A multiple of three instead of two."""
    best = proposed(warehouse, reader=LookedAt(), params=parameters({"session_cap": {"multiple": 3}}))[0]
    assert best.actions[0].to == {"max_calls": 90}


def test_an_empty_warehouse_leaves_only_the_note(warehouse: DuckDBWarehouse) -> None:
    """Without records nothing can be promised."""
    assert names(proposed(warehouse, records=(), reader=LookedAt())) == ["notify"]


class Doubled(Playbook):
    """A session cap that also tells of itself and caps one key more: a plan of two effects."""

    name = "doubled"
    causes = SessionCap.causes
    kinds = ("set_session_cap", "notify")
    risk = "low"
    reversible = True
    params = SessionCap.params
    harm_if_wrong = 0.5

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The honest draft, a note, and the same cap for one key."""
        draft = SessionCap().propose(finding, facts, params)
        if draft is None:
            return None
        key = SetSessionCap(target=Scope.of(team="search", app="indexer", api_key_id="key-1"), max_calls=60)
        return draft.model_copy(update={"actions": (*draft.actions, Notify(target=SCOPE, message="two"), key)})


class Versioned(LookedAt):
    """Every slot has a version of its own, as in the guard's rule book."""

    def observe(self, action: Action) -> Observed:
        """Nothing is set; the version is the target's."""
        return Observed(value={}, marker=None, version=action.target.text)


def test_a_plan_of_two_effects_keeps_the_version_of_each(warehouse: DuckDBWarehouse) -> None:
    """It stands as planned while both slots are as they were, and drifts when either moves."""
    key = Scope.of(team="search", app="indexer", api_key_id="key-1")
    found = finding("agent_loop", 0.8, facts={"session_calls_p99_normal": 30}, evidence=(key,))
    plan = proposed(warehouse, found, reader=Versioned(), playbooks=(Doubled(),))[0]
    assert [action.kind for action in plan.actions] == ["set_session_cap", "notify", "set_session_cap"]
    seen = [Observed(value={}, marker=None, version=action.target.text) for action in effects(plan)]
    assert standings(plan, seen, cas=True) == ["as_planned", "as_planned"]
    moved = [seen[0], seen[1].model_copy(update={"version": "later"})]
    assert standings(plan, moved, cas=True) == ["as_planned", "drift"]


def test_every_proposal_says_why_it_stands_where_it_does(warehouse: DuckDBWarehouse) -> None:
    """The best one its figures, the others to what they lost; doing nothing is one of them."""
    best, *others = proposed(warehouse, reader=LookedAt())
    assert best.because.startswith("put forward: net benefit ")
    assert others[-1].playbook == "notify"
    assert f"session_cap is worth {best.rank:,.2f}" in others[-1].because


def test_a_gateway_that_takes_other_actions_is_asked_by_its_own_capabilities(warehouse: DuckDBWarehouse) -> None:
    """Which gateway a plan goes to decides what may be proposed, not the first one that is configured."""
    narrow = LookedAt(capabilities=EVERYTHING.model_copy(update={"handles": frozenset()}))
    warehouse.append(RUNAWAY)
    found = propose(
        finding=LOOP, incident=incident(), warehouse=warehouse, price_table_for=_prices, reader=narrow,
        playbooks=PLAYBOOKS, never_touch=(), now=NOW, route=lambda _: LookedAt(),
    )  # fmt: skip
    assert names(found)[0] == "session_cap"


def test_a_gateway_that_cannot_split_gets_the_alias_for_everyone(warehouse: DuckDBWarehouse) -> None:
    """A canary where one can be; elsewhere the same change for all sessions, with all of its saving."""
    found = finding("model_switch", facts={"model": OPUS})
    rows = every(10, 200, model=OPUS, requested_model=OPUS)
    downgrade = [playbook for playbook in PLAYBOOKS if playbook.name == "model_downgrade"]
    canary = proposed(warehouse, found, rows, reader=LookedAt(), playbooks=downgrade)[0]
    whole = propose(
        finding=found, incident=incident(), warehouse=warehouse, price_table_for=_prices, reader=LookedAt(),
        playbooks=downgrade, never_touch=(), now=NOW,
        route=lambda actions: None if actions[0].to.get("percent") else LookedAt(),
    )[0]  # fmt: skip
    assert (canary.actions[0].to["percent"], whole.actions[0].to["percent"]) == (25, None)
    assert whole.saving.mid == 4 * canary.saving.mid


def test_an_issue_that_no_code_host_takes_is_told_to_the_owner(warehouse: DuckDBWarehouse) -> None:
    """The text must reach somebody."""
    broken = [
        row._replace(prefix_hash=f"p{i}")
        for i, row in enumerate(every(10, 100, input_uncached=500, cache_write_5m=9500))
    ]
    warm = every(60, 100, start=NOW - timedelta(days=3), first=5000, input_uncached=500, cache_read=9500)
    params = parameters({"cache_repair": {"repository": "acme/app"}})
    no_host = LookedAt(capabilities=EVERYTHING)
    found = proposed(warehouse, finding("cache_break"), [*broken, *warm], reader=no_host, params=params)
    repair = next(made for made in found if made.playbook == "cache_repair")
    assert repair.actions[0].kind == "notify"
