"""The sources by the name that `bursar ingest` and the configuration use."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from store.errors import BadInput
from store.model.ports import Clock, Source
from store.model.usage import BillingMode
from tools.sources.anthropic_admin import open_anthropic
from tools.sources.aws_cur import cur_rows
from tools.sources.focus import FocusSource
from tools.sources.langfuse import open_langfuse
from tools.sources.litellm import LiteLLMSource
from tools.sources.mapping import load_mapping
from tools.sources.openai_admin import open_openai
from tools.sources.otel import open_otlp
from tools.sources.tabular import TabularSource


class SourceOptions(NamedTuple):
    """What the operator said about a source."""

    clock: Clock
    name: str | None = None
    """The instance's name; the format's where left out. A table's mapping names its own source."""
    mapping: Path | None = None
    places: dict[str, tuple[str, ...]] | None = None
    billing_mode: BillingMode = "metered"
    """How the usage of coding agents is paid: "included" where people have seats."""


def _litellm(options: SourceOptions) -> Source:
    if options.mapping:
        raise BadInput("litellm needs no mapping file: leave out --map")
    return LiteLLMSource(name=options.name or "litellm", clock=options.clock, places=options.places)


def _tabular(options: SourceOptions) -> Source:
    if not options.mapping:
        raise BadInput("tabular needs a mapping file: give --map FILE, or --map with the name of a shipped one")
    mapping = load_mapping(options.mapping)
    if options.name:
        mapping = mapping.model_copy(update={"source": options.name})
    return TabularSource(mapping=mapping, clock=options.clock)


def _unmapped(kind: str, opened: Callable[[str, SourceOptions], Source]) -> Callable[[SourceOptions], Source]:
    """A format whose fields are known: it takes no mapping file."""

    def open_it(options: SourceOptions) -> Source:
        if options.mapping:
            raise BadInput(f"{kind} needs no mapping file: leave out --map")
        return opened(options.name or kind, options)

    return open_it


SOURCES: dict[str, Callable[[SourceOptions], Source]] = {
    "litellm": _litellm,
    "otlp": _unmapped(
        "otlp", lambda name, given: open_otlp(name=name, clock=given.clock, billing_mode=given.billing_mode)
    ),
    "focus": _unmapped("focus", lambda name, given: FocusSource(name=name, clock=given.clock)),
    "cur": _unmapped("cur", lambda name, given: FocusSource(name=name, clock=given.clock, rows=cur_rows)),
    "anthropic": _unmapped("anthropic", lambda name, given: open_anthropic(name=name, clock=given.clock)),
    "openai": _unmapped("openai", lambda name, given: open_openai(name=name, clock=given.clock)),
    "langfuse": _unmapped("langfuse", lambda name, given: open_langfuse(name=name, clock=given.clock)),
    "tabular": _tabular,
}


def open_source(kind: str, options: SourceOptions) -> Source:
    """The source of that format.

    Raises:
        BadInput: no such format, or options that do not fit it.
    """
    if kind not in SOURCES:
        raise BadInput(f"no such format: {kind!r}; known: {', '.join(SOURCES)}")
    if options.billing_mode != "metered" and kind != "otlp":
        raise BadInput(f"{kind} says itself how each call is paid: a billing mode is for otlp only")
    return SOURCES[kind](options)
