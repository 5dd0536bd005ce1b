"""Langfuse's `usageDetails` as disjoint token classes: whether details stand beside input and output, or inside."""

from typing import NamedTuple

from tools.sources.fields import Faulty, optional_count
from tools.sources.tokens import Tokens, of_all_input


class _Details(NamedTuple):
    """What stands under other names than input, output and total. `named_parts`: the names say that it is inside."""

    read: int
    written_5m: int
    written_1h: int
    other_input: int
    reasoning: int
    other_output: int
    named_parts: bool

    @property
    def input(self) -> int:
        return self.read + self.written_5m + self.written_1h + self.other_input

    @property
    def output(self) -> int:
        return self.reasoning + self.other_output


def tokens_of(usage: object) -> Tokens:
    """The classes of a `usageDetails` object; none where it is absent.

    Raises:
        Faulty: it is no object, a count cannot be right, or details are more than what they are parts of.
    """
    if usage is None:
        return Tokens()
    if not isinstance(usage, dict):
        raise Faulty("usageDetails is not an object")
    counts = {str(name): optional_count(value, f"usageDetails.{name}") for name, value in usage.items()}
    whole_input, whole_output, total = counts.pop("input", 0), counts.pop("output", 0), counts.pop("total", None)
    details = _sorted_out(counts)
    input_inside, output_inside = _inside(whole_input, whole_output, total, details)
    output = whole_output if output_inside else whole_output + details.output
    whole = whole_input if input_inside else whole_input + details.input
    return of_all_input(
        whole,
        read=details.read,
        written_5m=details.written_5m,
        written_1h=details.written_1h,
        output=output,
        reasoning=details.reasoning,
    )


def _inside(whole_input: int, whole_output: int, total: int | None, details: _Details) -> tuple[bool, bool]:
    """Whether the details are parts of input, and of output: the reading that adds up to the total."""
    rest = None if total is None else total - whole_input - whole_output
    for input_inside, output_inside in ((True, True), (False, False), (False, True), (True, False)):
        beside = (0 if input_inside else details.input) + (0 if output_inside else details.output)
        if rest == beside:
            return input_inside, output_inside
    return details.named_parts, details.named_parts


def _sorted_out(counts: dict[str, int]) -> _Details:
    sums = dict.fromkeys(_Details._fields[:-1], 0)
    for name, count in counts.items():
        sums[_kind(name)] += count
    return _Details(**sums, named_parts=any("details." in name for name in counts))


def _kind(name: str) -> str:
    if "cache" in name or "ephemeral" in name:
        if any(word in name for word in ("creation", "write", "ephemeral")):
            return "written_1h" if "1h" in name else "written_5m"
        return "read"
    if "reasoning" in name or "thought" in name:
        return "reasoning"
    return "other_output" if name.startswith(("output", "completion")) else "other_input"
