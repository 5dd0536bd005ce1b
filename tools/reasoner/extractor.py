"""The quarantined call: it alone reads text that came with the traffic. No tools, and a closed form as its answer."""

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.reasoner.caller import Caller
from tools.reasoner.inquiry import Cell
from tools.reasoner.reply import Failed
from tools.reasoner.schema import strict_schema

MOST_TEXTS = 20
MOST_CHARACTERS = 200
ANSWER_TOKENS = 2_048


class Label(BaseModel):
    """What one name says about itself: words of a closed list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1, le=MOST_TEXTS)
    kind: Literal[
        "person", "interactive", "agent", "batch", "backfill", "evaluation", "load_test", "ci", "automation", "unclear"
    ]
    environment: Literal["production", "staging", "development", "unclear"]
    reads_like_instructions: bool


class Labels(BaseModel):
    """One label for each text, in its order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: list[Label] = Field(max_length=MOST_TEXTS)


def extract(texts: Sequence[tuple[str, str]], *, caller: Caller, prompt: str) -> tuple[dict[str, Cell], ...] | None:
    """A row for each (opaque id, text), or None where the extractor gave no answer in its form."""
    shown = texts[:MOST_TEXTS]
    items = [
        {"number": i + 1, "text": caller.redactor.clean(text)[:MOST_CHARACTERS]} for i, (_, text) in enumerate(shown)
    ]
    request: dict[str, object] = {
        "model": caller.settings.extractor_model,
        "max_tokens": ANSWER_TOKENS,
        "system": [{"type": "text", "text": prompt}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": json.dumps(items)}]}],
        "output_config": {"format": {"type": "json_schema", "schema": strict_schema(Labels)}},
        "service_tier": "standard_only",
    }
    reply = caller.call("extract", request, news=items)
    if isinstance(reply, Failed) or reply.stop_reason != "end_turn":
        return None
    written = "".join(str(block.get("text", "")) for block in reply.content if block.get("type") == "text")
    try:
        labels = Labels.model_validate_json(written).labels
    except ValidationError:
        return None
    by_number = {label.number: label for label in labels}
    if len(by_number) != len(labels) or set(by_number) != set(range(1, len(shown) + 1)):
        return None
    return tuple(
        {"id": shown[number - 1][0], **label.model_dump(exclude={"number"})}
        for number, label in sorted(by_number.items())
    )
