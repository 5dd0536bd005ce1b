"""Differences that add up: whatever the two sides say, the named parts are the whole, in tokens and in money."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.reconciling.amounts import NO_TOKENS, NOTHING, Amounts, Tokens, plus, total
from agent.reconciling.books import DAY, HOUR, Place, Reported
from agent.reconciling.cells import Cell, bill_cells, usage_cells
from agent.reconciling.differences import Difference, invoice_differences, usage_differences
from agent.reconciling.teams import Money, team_lines
from store.model.usage import NONE, Window

START = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = Window(start=START, end=datetime(2026, 11, 1, tzinfo=UTC))
MIDNIGHT = int(START.timestamp())
RATES: Tokens = (3_000, 300, 3_750, 6_000, 15_000)

count = st.integers(0, 10**9)
tokens = st.tuples(count, count, count, count, count)
money = st.integers(-(10**15), 10**15)
amounts = st.builds(
    Amounts,
    tokens=tokens | st.just(NO_TOKENS),
    requests=st.integers(0, 10**6),
    cost_nanos=money,
    cash_nanos=money,
    billed_nanos=money,
    unpriced=st.integers(0, 3),
)


def whole(differences: list[Difference] | tuple[Difference, ...]) -> tuple[Tokens, int]:
    """All tokens and all money of the differences."""
    found: Tokens = NO_TOKENS
    for one in differences:
        found = plus(found, one.tokens)
    return found, sum(one.nanos for one in differences)


@given(amounts, amounts, amounts, amounts, st.none() | st.just(RATES))
@settings(max_examples=120, deadline=None)
def test_usage_differences_add_up(
    ours: Amounts, aligned: Amounts, late: Amounts, theirs: Amounts, rates: Tokens | None
) -> None:
    """Gateway less provider is the sum of the named differences, for any four counts."""
    found = usage_differences(ours, aligned=aligned, late=late, theirs=theirs, rates=rates)
    apart = ours.minus(theirs)
    assert whole(found) == (apart.tokens, apart.cost_nanos)


@given(amounts, st.none() | amounts, st.booleans())
@settings(max_examples=100, deadline=None)
def test_invoice_differences_add_up(usage: Amounts, invoice: Amounts | None, covered: bool) -> None:
    """Invoice less usage is the sum of the named differences."""
    found = invoice_differences(usage, invoice, covered=covered)
    billed = invoice.billed_nanos if invoice else 0
    assert whole(found) == (NO_TOKENS, billed - usage.cost_nanos)


def names(differences: list[Difference]) -> list[str]:
    """The names alone."""
    return [one.name for one in differences]


def seen(*used: int, nanos: int | None = None, requests: int = 10) -> Amounts:
    """Usage at RATES, per million tokens."""
    a, b, c, d, e = used
    cost = sum(n * rate for n, rate in zip(used, RATES, strict=True)) if nanos is None else nanos
    return Amounts((a, b, c, d, e), requests, cost, cost)


def test_equal_counts_have_no_differences() -> None:
    """Two books that agree leave nothing to name."""
    ours = seen(100, 50, 0, 0, 20)
    assert usage_differences(ours, aligned=ours, late=NOTHING, theirs=ours, rates=RATES) == []


def test_missing_calls_are_named_by_the_side_that_lacks_them() -> None:
    """A tenth of the calls went past the gateway, in the same mix."""
    ours, theirs = seen(900, 450, 0, 0, 180), seen(1000, 500, 0, 0, 200)
    found = usage_differences(ours, aligned=ours, late=NOTHING, theirs=theirs, rates=RATES)
    assert names(found) == ["missing_at_gateway"]
    found = usage_differences(theirs, aligned=theirs, late=NOTHING, theirs=ours, rates=RATES)
    assert names(found) == ["missing_at_provider"]


def test_cached_tokens_counted_as_input_are_no_missing_calls() -> None:
    """The gateway counts cached tokens as uncached: the same volume, in another class, and dearer."""
    ours, theirs = seen(1500, 0, 0, 0, 200), seen(1000, 500, 0, 0, 200)
    (found,) = usage_differences(ours, aligned=ours, late=NOTHING, theirs=theirs, rates=RATES)
    assert found == Difference("cached_tokens", (500, -500, 0, 0, 0), 500 * 3_000 - 500 * 300)


def test_another_price_is_told_from_rounding() -> None:
    """Half price (batch) on one side is a price difference; a nano-USD a request is rounding."""
    ours = seen(1000, 0, 0, 0, 0)
    half = ours._replace(cost_nanos=ours.cost_nanos // 2)
    near = ours._replace(cost_nanos=ours.cost_nanos + 7)
    assert names(usage_differences(ours, aligned=ours, late=NOTHING, theirs=half, rates=RATES)) == ["price_difference"]
    assert names(usage_differences(ours, aligned=ours, late=NOTHING, theirs=near, rates=RATES)) == ["rounding"]
    blank = half._replace(cost_nanos=0, unpriced=10)
    assert names(usage_differences(ours, aligned=ours, late=NOTHING, theirs=blank, rates=RATES)) == ["unpriced"]


hours = st.integers(-14, 31 * 24 + 14)
team = st.sampled_from(["ads", "search", NONE])
model = st.sampled_from(["opus", "haiku"])
rows = st.dictionaries(
    st.builds(lambda t, m, h: Place(t, "anthropic", m, MIDNIGHT + h * HOUR), team, model, hours), amounts, max_size=25
)
shift = st.integers(-12, 12)


def reported(found: dict[Place, Amounts], offset: int, end: int) -> dict[str, Reported]:
    """A provider's book, where it has any row."""
    return {"anthropic": Reported("admin", found, offset * HOUR, MIDNIGHT + end * HOUR)} if found else {}


@given(rows, rows, rows, shift, st.integers(0, 31 * 24))
@settings(max_examples=60, deadline=None)
def test_cells_and_teams_add_up(
    gateway: dict[Place, Amounts], counted: dict[Place, Amounts], billed: dict[Place, Amounts], offset: int, end: int
) -> None:
    """Over any three books: cells add up to their differences, and teams to the cells."""
    theirs, bill = reported(counted, offset, end), reported(billed, offset, end)
    usage = usage_cells(gateway, theirs, month=MONTH, rates_of=lambda *_: RATES)
    bills = bill_cells(gateway, theirs, bill, month=MONTH)
    for cell in usage:
        apart = cell.left.minus(cell.right)
        assert whole(cell.differences) == (apart.tokens, apart.cost_nanos)
    for cell in bills:
        assert whole(cell.differences)[1] == cell.right.billed_nanos - cell.left.cost_nanos
    inside = {place: one for place, one in gateway.items() if MIDNIGHT <= place.hour < MIDNIGHT + 31 * DAY}
    lines = team_lines(gateway=inside, money={}, usage=usage, bills=bills, shares=[], charges=[])
    for cells, of_teams in (
        (usage, [one for line in lines for one in line.usage_differences]),
        (bills, [one for line in lines for one in line.invoice_differences]),
    ):
        assert whole(of_teams) == whole([one for cell in cells for one in cell.differences])


def test_days_that_begin_elsewhere_are_an_edge_and_nothing_else() -> None:
    """A provider whose days begin at 16:00 UTC and counts every call: only what lies across the edges differs."""
    hourly = seen(100, 0, 0, 0, 10, requests=1)
    gateway = {Place(NONE, "anthropic", "opus", MIDNIGHT + h * HOUR): hourly for h in range(-24, 32 * 24)}
    daily = total([hourly] * 24)
    counted = {Place(NONE, "anthropic", "opus", MIDNIGHT + (d * 24 - 8) * HOUR): daily for d in range(32)}
    book = {"anthropic": Reported("admin", counted, -8 * HOUR, MIDNIGHT + 33 * DAY)}
    usage = usage_cells(gateway, book, month=MONTH, rates_of=lambda *_: RATES)
    assert len(usage) == 31
    assert [one.name for cell in usage for one in cell.differences] == []
    shifted = {place: one for place, one in gateway.items() if place.hour >= MIDNIGHT}
    first: Cell = usage_cells(shifted, book, month=MONTH, rates_of=lambda *_: RATES)[0]
    found = {one.name: one.tokens[0] for one in first.differences}
    assert found == {"time_zone_edge": 800, "missing_at_gateway": -800}


def test_a_bill_by_the_month_is_set_against_the_month() -> None:
    """One line for the whole of October: its first day stands for all days."""
    gateway = {Place(NONE, "anthropic", "opus", MIDNIGHT + d * DAY): seen(100, 0, 0, 0, 10) for d in range(31)}
    bill = total(gateway.values())
    line = {Place(NONE, "anthropic", "opus", MIDNIGHT): bill._replace(billed_nanos=bill.cost_nanos + 5 * 10**9)}
    book = {"anthropic": Reported("bill", line, 0, MIDNIGHT + 31 * DAY, by_month=True)}
    (cell,) = bill_cells(gateway, {}, book, month=MONTH)
    assert [(one.name, one.nanos) for one in cell.differences] == [("price_difference", 5 * 10**9)]
    (usage,) = usage_cells(gateway, book, month=MONTH, rates_of=lambda *_: RATES)
    assert usage.differences == ()


def test_money_adds_kind_by_kind() -> None:
    """List, contracted and cash are three sums."""
    assert Money(1, 2, 3).plus(Money(10, 20, 30)) == (11, 22, 33)


def test_usage_after_the_newest_report_is_late() -> None:
    """The provider reported until the second day; what came later is no missing call."""
    gateway = {Place(NONE, "anthropic", "opus", MIDNIGHT + d * DAY): seen(100, 0, 0, 0, 10) for d in range(3)}
    counted = {place: one for place, one in gateway.items() if place.hour < MIDNIGHT + 2 * DAY}
    book = {"anthropic": Reported("admin", counted, 0, MIDNIGHT + 2 * DAY)}
    usage = usage_cells(gateway, book, month=MONTH, rates_of=lambda *_: RATES)
    assert [[one.name for one in cell.differences] for cell in usage] == [[], [], ["late"]]
    assert usage[2].day - usage[0].day == timedelta(days=2)
