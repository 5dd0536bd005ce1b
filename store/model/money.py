"""Money: integer nano-dollars inside, Decimal at the edges, never a float sum."""

from decimal import ROUND_HALF_EVEN, Decimal

NANOS_PER_USD = 10**9
NANOS_PER_CENT = 10**7


def to_nanos(usd: Decimal | str | int) -> int:
    """Turn an amount in USD into nano-dollars, rounded half-even once.

    Raises:
        ValueError: the amount is not a finite number.
    """
    try:
        amount = Decimal(usd)
    except ArithmeticError as error:
        raise ValueError(f"not an amount in USD: {usd!r}") from error
    if not amount.is_finite():
        raise ValueError(f"not a finite amount in USD: {usd!r}")
    return int((amount * NANOS_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def to_usd(nanos: int) -> Decimal:
    """Turn nano-dollars into an exact Decimal amount in USD."""
    return Decimal(nanos).scaleb(-9)


def to_cents(nanos: int) -> int:
    """Round nano-dollars half-even to whole cents, still expressed in nano-dollars."""
    return int(to_usd(nanos).quantize(Decimal("0.01"), ROUND_HALF_EVEN).scaleb(9))


def usd_number(nanos: int) -> float:
    """The JSON number for an amount; only for output, never for further sums."""
    return float(to_usd(nanos))


def usd_text(nanos: int) -> str:
    """The amount as people read it: "$1,234.56", "-$0.07"."""
    amount = to_usd(nanos).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"
