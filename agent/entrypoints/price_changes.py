"""`bursar prices --changes`: prices that became others, each at its date."""

from agent.entrypoints.console import print_json, print_table
from store.model.money import usd_number
from store.model.price_change import PriceChange, price_changes
from store.model.prices import PriceTable
from store.model.usage import TOKEN_CLASSES, Window, iso


def tell_changes(table: PriceTable, window: Window, *, json_: bool) -> None:
    """Print every change that takes effect in the window, oldest first; USD per million tokens."""
    found = price_changes(table, window)
    if json_:
        print_json([_document(change) for change in found])
        return
    rows = [[iso(one.at), one.key.provider, one.key.model, *_rates(one), one.becomes.origin] for one in found]
    columns = ["from", "provider", "model", "input, output was", "input, output is", "origin"]
    print_table(columns, rows, empty="no price of a model in use changed")


def _rates(change: PriceChange) -> tuple[str, str]:
    was, becomes = (
        f"${usd_number(price.rates.input_uncached):g}, ${usd_number(price.rates.output):g}"
        for price in (change.was, change.becomes)
    )
    return was, becomes


def _document(change: PriceChange) -> dict[str, object]:
    was, becomes = (
        {name: usd_number(nanos) for name, nanos in zip(TOKEN_CLASSES, price.rates.by_class(), strict=True)}
        for price in (change.was, change.becomes)
    )
    return {
        "at": iso(change.at),
        "provider": change.key.provider,
        "model": change.key.model,
        "was_usd_per_million": was,
        "usd_per_million": becomes,
        "origin": change.becomes.origin,
    }
