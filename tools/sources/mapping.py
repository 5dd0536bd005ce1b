"""The mapping file of a table: which columns, constants and products make a record."""

from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from store.errors import BadInput
from store.model.usage import BillingMode

SHIPPED = Path(__file__).parent / "mappings"

Dimension = Literal[
    "team",
    "app",
    "environment",
    "api_key_id",
    "end_user",
    "route",
    "prompt_version",
    "release",
    "job",
    "session_id",
    "trace_id",
    "region",
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextField(_Strict):
    """One of: a column, a constant, or columns joined by "-". `values` translates what was found."""

    column: str | None = None
    constant: str | None = None
    join: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    values: dict[str, str] = {}

    @model_validator(mode="after")
    def _one(self) -> "TextField":
        _need_one(self, "column", "constant", "join")
        return self

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return self.join or ((self.column,) if self.column else ())


class NumberField(_Strict):
    """One of: a column, a constant, or a product of columns and constants. `default` stands for an absent cell."""

    column: str | None = None
    constant: Decimal | None = None
    product: Annotated[tuple[Decimal | str, ...], Field(min_length=2)] | None = None
    default: Decimal | None = None

    @model_validator(mode="after")
    def _one(self) -> "NumberField":
        _need_one(self, "column", "constant", "product")
        return self

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs."""
        if self.product:
            return tuple(factor for factor in self.product if isinstance(factor, str))
        return (self.column,) if self.column else ()


class TimeField(_Strict):
    """A column of times; `origin` is where relative seconds, ms or us start."""

    column: str
    unit: Literal["s", "ms", "us", "iso"]
    origin: AwareDatetime | None = None

    @model_validator(mode="after")
    def _relative(self) -> "TimeField":
        if self.origin and self.unit == "iso":
            raise ValueError("an ISO time is not relative: leave out origin, or use s, ms or us")
        return self


class TokenFields(_Strict):
    """Token classes. `input` is all input with cached and written tokens in it; `input_uncached` is without them."""

    input: NumberField | None = None
    input_uncached: NumberField | None = None
    cache_read: NumberField | None = None
    cache_write_5m: NumberField | None = None
    cache_write_1h: NumberField | None = None
    output: NumberField | None = None
    reasoning: NumberField | None = None

    @model_validator(mode="after")
    def _one_input(self) -> "TokenFields":
        if self.input and self.input_uncached:
            raise ValueError("give input (cached tokens in it) or input_uncached (without them), not both")
        return self


class Mapping(_Strict):
    """How the rows of a table become records."""

    source: str
    """The name that the records carry."""
    record_id: Annotated[tuple[str, ...], Field(min_length=1)]
    """The columns that together tell one row from every other."""
    time: TimeField
    period_seconds: Annotated[int, Field(ge=0, le=366 * 86_400)] = 0
    """Above 0: a row is a span of time that starts at `time`, not one request."""
    model: TextField
    provider: TextField | None = None
    """Left out: what stands before the first "/" of the model."""
    requested_model: TextField | None = None
    service_tier: TextField | None = None
    speed: TextField | None = None
    dimensions: dict[Dimension, TextField] = {}
    tags: dict[str, TextField] = {}
    tokens: TokenFields = TokenFields()
    requests: NumberField | None = None
    """A row with 0 requests is a span without traffic: passed over and counted."""
    latency_ms: NumberField | None = None
    billed_usd: NumberField | None = None
    billing_mode: BillingMode = "metered"
    grade: Literal["attested", "claimed"] = "attested"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column that it needs, once, in no particular order."""
        fields = [
            *(getattr(self, name) for name in ("model", "provider", "requested_model", "service_tier", "speed")),
            *(getattr(self, name) for name in ("requests", "latency_ms", "billed_usd")),
            *(getattr(self.tokens, name) for name in TokenFields.model_fields),
            *self.dimensions.values(),
            *self.tags.values(),
        ]
        named = [name for field in fields if field is not None for name in field.columns]
        return tuple(dict.fromkeys([*self.record_id, self.time.column, *named]))


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file; the name of a shipped one ("aider") will do.

    Raises:
        BadInput: no such file, no YAML, or a wrong key or value; the message names the key and what is allowed.
    """
    shipped = SHIPPED / f"{path}.yaml"
    chosen = shipped if path.name == str(path) and not path.suffix and shipped.is_file() else path
    try:
        return Mapping.model_validate(yaml.safe_load(chosen.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise BadInput(f"{path}: the mapping cannot be read: {error}; shipped mappings: {names}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: the mapping is not YAML: {error}") from error
    except ValidationError as error:
        raise BadInput(_told(path, error)) from error


def _told(path: Path, error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    # A misspelt key is also a missing one: the misspelling says more.
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    loc = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = ", ".join(_known_keys(loc[:-1]))
        return f"{path}: {'.'.join(loc)}: no such key; allowed here: {known}"
    return (
        f"{path}: {'.'.join(loc) or 'the top'}: {first['msg']}; allowed at the top: {', '.join(Mapping.model_fields)}"
    )


def _known_keys(loc: list[str]) -> list[str]:
    if not loc:
        return list(Mapping.model_fields)
    if loc == ["tokens"]:
        return list(TokenFields.model_fields)
    if loc == ["time"]:
        return list(TimeField.model_fields)
    numbers = loc[0] == "tokens" or loc[0] in ("requests", "latency_ms", "billed_usd")
    return list((NumberField if numbers else TextField).model_fields)


def _need_one(field: BaseModel, *names: str) -> None:
    if sum(getattr(field, name) is not None for name in names) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}")
