"""Per team: what it used at list price, as contracted and in cash, what was charged for it, and the differences."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.reconciling.amounts import NO_TOKENS, NOTHING, Amounts, Tokens, minus, total
from agent.reconciling.books import Place
from agent.reconciling.cells import ALL, Cell
from agent.reconciling.differences import Difference, merged
from store.model.allocation import SharedCost, split
from store.model.charge import ChargeAmounts
from store.model.usage import NONE


class Money(NamedTuple):
    """Nano-USD of usage: at list price, as contracted, and the part of the contracted that is marginal cash."""

    list_nanos: int = 0
    cost_nanos: int = 0
    cash_nanos: int = 0

    def plus(self, other: "Money") -> "Money":
        """Both, kind by kind."""
        return Money(*(a + b for a, b in zip(self, other, strict=True)))


class DayUse(NamedTuple):
    """One team's usage of one day: its money, and what shares can be measured by."""

    money: Money
    requests: int
    tokens: int


class Share(NamedTuple):
    """What one shared cost moves to (above zero) or from (below zero) a team; all of one name add up to zero."""

    shared: str
    method: str
    team: str
    money: Money


class TeamLine(NamedTuple):
    """One team's month; `team` NONE is what nobody is known to have used.

    `counted`, `billed_nanos`: None where the reference sources do not say whose usage it is.
    """

    team: str
    usage: Amounts
    money: Money
    shares: tuple[Share, ...]
    charges: tuple[ChargeAmounts, ...]
    counted: Amounts | None
    billed_nanos: int | None
    usage_differences: tuple[Difference, ...]
    invoice_differences: tuple[Difference, ...]

    @property
    def allocated(self) -> Money:
        """Its own usage with its share of what is shared."""
        found = self.money
        for share in self.shares:
            found = found.plus(share.money)
        return found


def shares_of_day(shared: SharedCost, inside: Mapping[str, DayUse], everything: Mapping[str, DayUse]) -> list[Share]:
    """How one day of a shared cost is split; whole nano-USD, nothing lost.

    Args:
        shared: the rule.
        inside: the usage of the shared scope by the team that its records have.
        everything: all usage of the day by team, the shared among it.
    """
    used = {
        team: _size(everything.get(team), shared.method) - _size(inside.get(team), shared.method)
        for team in shared.targets
    }
    weights = shared.weights(used)
    whole = Money()
    for use in inside.values():
        whole = whole.plus(use.money)
    parts = zip(*(split(nanos, weights) for nanos in whole), strict=True)
    taken = [
        Share(shared.name, shared.method, team, Money(*(-nanos for nanos in use.money))) for team, use in inside.items()
    ]
    given = [
        Share(shared.name, shared.method, team, Money(*part)) for team, part in zip(shared.targets, parts, strict=True)
    ]
    return [*taken, *given]


def _size(use: DayUse | None, method: str) -> int:
    if use is None:
        return 0
    return use.tokens if method == "tokens" else use.requests


def summed(shares: Iterable[Share]) -> list[Share]:
    """One of each (shared, team), without those that come to nothing."""
    found: dict[tuple[str, str], Share] = {}
    for one in shares:
        key = (one.shared, one.team)
        found[key] = one._replace(money=one.money.plus(found[key].money)) if key in found else one
    return [found[key] for key in sorted(found) if any(found[key].money)]


def team_lines(
    *,
    gateway: Mapping[Place, Amounts],
    money: Mapping[str, Money],
    usage: Sequence[Cell],
    bills: Sequence[Cell],
    shares: Sequence[Share],
    charges: Sequence[ChargeAmounts],
) -> list[TeamLine]:
    """One line for each team that used, was charged or was counted anything, sorted; NONE last.

    The teams' differences add up to those of all cells: what a provider does not tell teams apart in is `unallocated`.
    """
    by_charge = {id(one): _team_of(one) for one in charges}
    seen = {place.team for place in gateway} | money.keys() | {share.team for share in shares}
    seen |= set(by_charge.values()) | {cell.team for cell in (*usage, *bills) if cell.team != ALL} | {NONE}
    used = _by_team(gateway, usage, bills)
    of_team: dict[str, Amounts] = {}
    for place, amounts in gateway.items():
        of_team[place.team] = of_team.get(place.team, NOTHING).plus(amounts)
    lines = []
    for team in sorted(seen, key=lambda name: (name == NONE, name)):
        counted = [cell for cell in usage if cell.team == team]
        billed = [cell for cell in bills if cell.team == team]
        line = TeamLine(
            team=team,
            usage=of_team.get(team, NOTHING),
            money=money.get(team, Money()),
            shares=tuple(share for share in shares if share.team == team),
            charges=tuple(one for one in charges if by_charge[id(one)] == team),
            counted=total(cell.right for cell in counted) if counted else None,
            billed_nanos=sum(cell.right.billed_nanos for cell in billed) if billed else None,
            usage_differences=tuple(
                merged([*(one for cell in counted for one in cell.differences), *used.usage.get(team, [])])
            ),
            invoice_differences=tuple(
                merged([*(one for cell in billed for one in cell.differences), *used.bills.get(team, [])])
            ),
        )
        if team != NONE or line != _NOBODY:
            lines.append(line)
    return lines


_NOBODY = TeamLine(NONE, NOTHING, Money(), (), (), None, None, (), ())


class _Unallocated(NamedTuple):
    usage: Mapping[str, list[Difference]]
    bills: Mapping[str, list[Difference]]


def _by_team(gateway: Mapping[Place, Amounts], usage: Sequence[Cell], bills: Sequence[Cell]) -> _Unallocated:
    """The `unallocated` differences of the providers whose reference does not tell teams apart."""
    of_usage: dict[str, list[Difference]] = defaultdict(list)
    of_bills: dict[str, list[Difference]] = defaultdict(list)
    blind = {cell.provider for cell in usage if cell.team == ALL}
    for place, amounts in gateway.items():
        if place.provider in blind:
            of_usage[place.team].append(Difference("unallocated", amounts.tokens, amounts.cost_nanos))
    for cell in usage:
        if cell.team == ALL:
            tokens: Tokens = minus(NO_TOKENS, cell.right.tokens)
            of_usage[NONE].append(Difference("unallocated", tokens, -cell.right.cost_nanos))
    for cell in bills:
        if cell.team == ALL:
            nanos = cell.right.billed_nanos - cell.left.cost_nanos
            of_bills[NONE].append(Difference("unallocated", NO_TOKENS, nanos))
    return _Unallocated(of_usage, of_bills)


def _team_of(one: ChargeAmounts) -> str:
    return one.charge.scope.get("team") or NONE
