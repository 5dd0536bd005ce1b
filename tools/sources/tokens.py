"""The five disjoint token classes of a call, and how they follow from the ways in which others count."""

from typing import NamedTuple

from tools.sources.fields import Faulty


class Tokens(NamedTuple):
    """The classes by the names of a usage record; reasoning is a part of the output."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def input(self) -> int:
        """All input: uncached, read and written."""
        return self.input_uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h


def of_all_input(
    whole: int, *, read: int = 0, written_5m: int = 0, written_1h: int = 0, output: int = 0, reasoning: int = 0
) -> Tokens:
    """Where input is counted with cached and written tokens in it (OpenAI, Gemini, OpenTelemetry).

    Raises:
        Faulty: cached tokens are more than all input.
    """
    cached = read + written_5m + written_1h
    if cached > whole:
        raise Faulty(f"cached tokens ({cached}) are more than all input ({whole}), of which they are parts")
    # Some report reasoning beside the output; a part cannot be more than the whole.
    return Tokens(whole - cached, read, written_5m, written_1h, output, min(output, reasoning))
