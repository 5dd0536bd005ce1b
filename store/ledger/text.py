"""How nouns and payloads become text columns and come back."""

import json
from datetime import datetime
from typing import Any, cast

from pydantic import BaseModel

from store.errors import BadInput
from store.model.canonical import canonical_json
from store.model.usage import from_us, to_us


def body_of(noun: BaseModel) -> str:
    """The canonical JSON of a noun.

    Raises:
        BadInput: it holds NaN, an infinity, or text that is not Unicode.
    """
    return text_of(noun.model_dump(mode="json"))


def text_of(value: object) -> str:
    """The canonical JSON of a JSON value.

    Raises:
        BadInput: it is not JSON, or holds NaN, an infinity, or text that is not Unicode.
    """
    try:
        text = canonical_json(value)
        text.encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"ledger: this cannot be stored as JSON: {error}") from error
    return text


def value_of(text: str) -> dict[str, Any]:
    """The JSON object of a text column."""
    return cast("dict[str, Any]", json.loads(text))


def maybe_us(moment: datetime | None) -> int | None:
    """Microseconds, or None."""
    return None if moment is None else to_us(moment)


def maybe_moment(us: int | None) -> datetime | None:
    """The UTC time, or None."""
    return None if us is None else from_us(us)
