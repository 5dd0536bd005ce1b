"""The read-only questions: what they fetch, how much of it, and what they answer when they cannot."""

from collections.abc import Collection, Iterator
from datetime import timedelta

import pytest

from store.errors import BadInput
from store.model.ports import Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.usage import TOTAL, Scope, Window
from tests.agent.analyst.small_faults import leaked_key
from tests.agent.analyst.small_world import LARGE, NIGHT, PRICES, SMALL, WINDOW, SmallWorld, spent
from tools.queries.buckets import widest_bucket
from tools.queries.cache import cache
from tools.queries.keys import keys
from tools.queries.mix import mix
from tools.queries.prices import prices
from tools.queries.result import ask
from tools.queries.spend import spend
from tools.queries.traces import traces
from tools.queries.users import users

WORLD = SmallWorld(leaked_key, window=NIGHT)
ASSIST = Scope.of(app="assist")


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    """The small world with a leaked key."""
    opened = WORLD.warehouse()
    yield opened
    opened.close()


def test_spend_is_that_of_the_records(warehouse: Warehouse) -> None:
    """The rollup rows of a scope add up to its records, and carry the question that was asked."""
    result = spend(warehouse, scope=ASSIST, window=NIGHT)
    assert (result.query, result.scope, result.window, result.status) == ("spend", ASSIST, NIGHT, "ok")
    assert result.need().total("cost_nanos") == spent(WORLD.records, NIGHT, ASSIST)


def test_spend_of_a_session_is_read_too(warehouse: Warehouse) -> None:
    """A scope that rollups do not keep is summed from records."""
    session = next(r.session_id for r in WORLD.records if r.app == "assist" and WINDOW.start_us <= r.occurred_us)
    scope = Scope.of(session_id=session)
    assert spend(warehouse, scope=scope, window=WINDOW).need().total("cost_nanos") == spent(
        WORLD.records, WINDOW, scope
    )


def test_mix_and_cache_see_models_and_classes(warehouse: Warehouse) -> None:
    """The mix tells models apart, the cache tells token classes apart."""
    assert set(mix(warehouse, scope=ASSIST, window=NIGHT).need().values["model"]) == {SMALL, LARGE}
    cube = cache(warehouse, scope=ASSIST, window=WINDOW).need()
    assert cube.total("cache_read") == 3000 * cube.total("requests")


def test_traces_and_users_keep_the_newest(warehouse: Warehouse) -> None:
    """A limit keeps the newest calls in order of time and says that there were more."""
    table = traces(warehouse, scope=TOTAL, window=NIGHT, limit=10).need()
    everything = users(warehouse, scope=TOTAL, window=NIGHT).need()
    assert (table.rows, table.cut, everything.cut) == (10, True, False)
    assert table.columns["occurred_us"].tolist() == everything.columns["occurred_us"].tolist()[-10:]


def test_keys_tell_the_past_from_now(warehouse: Warehouse) -> None:
    """The same question before and now shows the new model and the new region."""
    before = keys(
        warehouse, api_key_id="key-assist", window=Window(start=NIGHT.start - timedelta(days=7), end=NIGHT.start)
    )
    now = keys(warehouse, api_key_id="key-assist", window=NIGHT)
    assert before.need().hours.values["model"] == [SMALL]
    assert set(now.need().hours.values["model"]) == {SMALL, LARGE}
    assert set(before.need().calls.columns["region"].tolist()) == {"eu"}
    assert set(now.need().calls.columns["region"].tolist()) == {"eu", "ap"}


def test_nothing_is_empty_and_equal_questions_have_equal_ids(warehouse: Warehouse) -> None:
    """A scope without traffic is an empty answer; the id depends on the question alone."""
    nobody = Scope.of(team="nobody")
    first, second = (spend(warehouse, scope=nobody, window=NIGHT) for _ in range(2))
    assert first.status == "empty"
    assert first.id == second.id
    assert first.id != spend(warehouse, scope=nobody, window=WINDOW).id


def test_an_impossible_question_is_an_answer_until_the_data_are_needed(warehouse: Warehouse) -> None:
    """What the warehouse refuses comes back as an error with its reason, and raises only where data are needed."""
    result = spend(warehouse, scope=TOTAL, window=NIGHT, dims=("no_such_dimension",))
    assert (result.status, result.data) == ("error", None)
    with pytest.raises(BadInput, match="no_such_dimension"):
        result.need()


def test_hostile_values_are_only_values(warehouse: Warehouse) -> None:
    """A name that reads like SQL finds nothing and breaks nothing."""
    scope = Scope.of(team="x' OR 1=1; DROP TABLE records;--")
    assert traces(warehouse, scope=scope, window=NIGHT).status == "empty"
    assert traces(warehouse, scope=ASSIST, window=NIGHT).status == "ok"


def test_prices_come_from_the_injected_book() -> None:
    """The models that were seen are asked for, sorted, once each."""
    asked: list[list[PriceKey]] = []

    def book(wanted: Collection[PriceKey]) -> PriceTable:
        asked.append(list(wanted))
        return PRICES

    models = {PriceKey("acme", SMALL), PriceKey("acme", LARGE)}
    result = prices(book, models=models, scope=TOTAL, window=NIGHT)
    assert result.need() == PRICES
    assert asked == [[PriceKey("acme", LARGE), PriceKey("acme", SMALL)]]


def test_buckets_fit_the_window() -> None:
    """Whole hours are read from hourly rollups, other windows from the fine ones."""
    assert widest_bucket(WINDOW) == 3600
    assert widest_bucket(Window(start=WINDOW.start, end=WINDOW.end - timedelta(minutes=5))) == 300


def test_only_bad_input_becomes_an_answer() -> None:
    """A failure of another kind is not hidden."""

    def broken() -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        ask("spend", TOTAL, NIGHT, broken)
