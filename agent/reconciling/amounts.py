"""What usage comes to: tokens by class and three kinds of money that are never added to each other."""

from collections.abc import Iterable
from typing import NamedTuple

from store.model.usage import TOKEN_CLASSES

Tokens = tuple[int, int, int, int, int]
"""In the order of TOKEN_CLASSES."""

NO_TOKENS: Tokens = (0, 0, 0, 0, 0)


class Amounts(NamedTuple):
    """Sums over some usage. Money is nano-USD.

    `cost_nanos` is what our price book says (as contracted), `cash_nanos` the part of it that is marginal cash,
    `billed_nanos` what the source itself says was billed; `unpriced` requests have tokens and no price.
    """

    tokens: Tokens = NO_TOKENS
    requests: int = 0
    cost_nanos: int = 0
    cash_nanos: int = 0
    billed_nanos: int = 0
    unpriced: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        return Amounts(
            plus(self.tokens, other.tokens),
            self.requests + other.requests,
            self.cost_nanos + other.cost_nanos,
            self.cash_nanos + other.cash_nanos,
            self.billed_nanos + other.billed_nanos,
            self.unpriced + other.unpriced,
        )

    def minus(self, other: "Amounts") -> "Amounts":
        """What is left of these."""
        return Amounts(
            minus(self.tokens, other.tokens),
            self.requests - other.requests,
            self.cost_nanos - other.cost_nanos,
            self.cash_nanos - other.cash_nanos,
            self.billed_nanos - other.billed_nanos,
            self.unpriced - other.unpriced,
        )


NOTHING = Amounts()


def total(parts: Iterable[Amounts]) -> Amounts:
    """The sum of all."""
    found = NOTHING
    for part in parts:
        found = found.plus(part)
    return found


def plus(one: Tokens, other: Tokens) -> Tokens:
    """Class by class."""
    # Written out: a month has a hundred thousand rows, and a loop takes three times as long.
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3], one[4] + other[4])


def minus(one: Tokens, other: Tokens) -> Tokens:
    """Class by class."""
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2], one[3] - other[3], one[4] - other[4])


def by_class(tokens: Tokens) -> dict[str, int]:
    """Under the names of the classes."""
    return dict(zip(TOKEN_CLASSES, tokens, strict=True))
