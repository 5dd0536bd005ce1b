"""What a FOCUS row measures: which model, which token class, how many tokens a unit is.

The 1.5 draft's keys in SkuPriceDetails say it outright. Without them it is read from what AWS, Microsoft and Google
write into the names of their meters ("USE1-Claude4.5Sonnet-input-tokens", "gpt 4o 0806 Inp glbl Tokens").
"""

import re
from decimal import Decimal
from typing import NamedTuple

from store.model.usage import NONE
from tools.sources.documents import Object, first
from tools.sources.fields import text

AI_CATEGORY = "AI and Machine Learning"
_UNIT = re.compile(r"^\s*(?P<many>[0-9][0-9,.]*)?\s*(?P<scale>[km])?\s*(?:\S+\s+)?tokens?\b", re.IGNORECASE)
_BARE_UNIT = re.compile(r"^\s*(?P<many>[0-9][0-9,.]*)?\s*(?P<scale>[km])\s*$", re.IGNORECASE)
_SCALES = {"": 1, "k": 1_000, "m": 1_000_000}
_NAMES = ("SkuMeter", "x_SkuMeterName", "ChargeDescription", "SkuId", "x_SkuDescription", "x_UsageType")
_METER = ("SkuMeter", "x_SkuMeterName", "ChargeDescription", "x_SkuDescription", "SkuId")
_REGION = re.compile(r"^[A-Z]{2,4}\d-")
_NOT_THE_MODEL = re.compile(
    r"\b(cache|cached|cchd|read|write|creation|1h|5m|input|inp|output|outp|out|prompt|completion|response|request|text|"
    r"tokens?|count|glbl|global|regnl|regional|data zone|batch)\b",
    re.IGNORECASE,
)
"""What meters say beside the model: with it the input and the output of one model would be two models."""
_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("cache_write_1h", re.compile(r"^(?=.*cache)(?=.*write)(?=.*\b1.?h)", re.IGNORECASE)),
    ("cache_write_5m", re.compile(r"cache.?(write|creation)|write.{0,12}cache|cch.?w", re.IGNORECASE)),
    ("cache_read", re.compile(r"cache|cachd|\bcchd?\b", re.IGNORECASE)),
    ("output", re.compile(r"output|outp|\bout\b|completion|response", re.IGNORECASE)),
    ("input_uncached", re.compile(r"input|\binp\w*|prompt|request", re.IGNORECASE)),
)
_CLASSES = {
    ("Input", "Uncached"): "input_uncached",
    ("Input", "Read"): "cache_read",
    ("Input", "Write"): "cache_write_5m",
    # Omitted where unknown or mixed: such tokens are input, and nothing says that they came from a cache.
    ("Input", NONE): "input_uncached",
    ("Input", "Other"): "input_uncached",
}


class Meter(NamedTuple):
    """`token_class` and `tokens_per_unit` are None for a charge that is not counted in tokens (hours, images)."""

    model: str
    token_class: str | None
    tokens_per_unit: Decimal | None


def is_language_model(row: Object) -> bool:
    """Whether the row charges for a language model: by its unit, its subcategory, or its SkuPriceDetails."""
    if text(row.get("ServiceCategory")) != AI_CATEGORY:
        return False
    details = text(row.get("SkuPriceDetails"))
    generative = text(row.get("ServiceSubcategory")) == "Generative AI"
    return generative or "TokenDirection" in details or tokens_per_unit(row) is not None


def meter_of(row: Object, details: Object) -> Meter:
    """What the row measures."""
    per_unit = tokens_per_unit(row)
    named = text(first({**row, **details}, ("ModelId", "x_ModelId", "x_Model")))
    model = named if named != NONE else _model_in(text(first(row, _METER)))
    return Meter(model, _token_class(row, details) if per_unit is not None else None, per_unit)


def is_batch(row: Object) -> bool:
    """Whether a meter's name says that it charges for batch work."""
    return any("batch" in text(row.get(name)).lower() for name in _NAMES)


def _model_in(meter: str) -> str:
    """The meter's name without region, direction, cache action and unit; all of it where nothing is left."""
    kept = _NOT_THE_MODEL.sub(" ", _REGION.sub("", meter).replace("_", "-"))
    # What was taken out left blanks; dashes beside a blank join nothing any more.
    return re.sub(r"[\s-]*\s[\s-]*", " ", kept).strip(" -,") or meter


def tokens_per_unit(row: Object) -> Decimal | None:
    """How many tokens one unit of ConsumedQuantity is ("Tokens" 1, "1K tokens" 1000); None where it counts others."""
    unit = text(first(row, ("ConsumedUnit", "PricingUnit")))
    names = " ".join(text(row.get(name)) for name in _NAMES)
    found = _UNIT.match(unit) or (_BARE_UNIT.match(unit) if "token" in names.lower() else None)
    if found is None:
        return None
    try:
        many = Decimal((found["many"] or "1").replace(",", ""))
    except ArithmeticError:
        return None
    return many * _SCALES[(found["scale"] or "").lower()]


def _token_class(row: Object, details: Object) -> str | None:
    direction, action = text(details.get("TokenDirection")), text(details.get("TokenCacheAction"))
    if direction == "Output":
        return "output"
    if direction == "Input":
        found = _CLASSES.get((direction, action), "input_uncached")
        longer = text(details.get("x_CacheTtl")) == "1h"
        return "cache_write_1h" if found == "cache_write_5m" and longer else found
    names = " ".join(text(row.get(name)) for name in _NAMES)
    return next((name for name, words in _WORDS if words.search(names)), None)
