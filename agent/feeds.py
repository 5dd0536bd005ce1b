"""The configured sources, read again and again: only files that changed since they were last read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from agent.settings import SourceSettings
from agent.steps.collect import collect
from store.errors import BadInput
from store.model.ports import Clock, Source, Warehouse
from store.model.usage import Intake
from store.prices import PriceBook
from tools.sources.registry import SourceOptions, open_source

_Stamp = tuple[int, int]


@dataclass
class Feed:
    """One source and what was read of it. Losing `seen` at a restart costs time only: records are deduplicated."""

    settings: SourceSettings
    source: Source
    seen: dict[Path, _Stamp] = field(default_factory=dict)

    def changed(self) -> dict[Path, _Stamp]:
        """The files that match the patterns and are new, longer or newer than when they were read."""
        found = sorted({Path(name) for pattern in self.settings.paths for name in glob(pattern)})  # noqa: PTH207 # absolute patterns
        stamps = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
        return {path: stamp for path, stamp in stamps.items() if self.seen.get(path) != stamp}


def open_feeds(sources: Sequence[SourceSettings], *, clock: Clock) -> list[Feed]:
    """Open every configured source.

    Raises:
        BadInput: a mapping file is missing or wrong.
    """
    return [
        Feed(
            one,
            open_source(
                one.format, SourceOptions(clock=clock, name=one.name, mapping=one.map, billing_mode=one.billing_mode)
            ),
        )
        for one in sources
    ]


def collect_all(
    feeds: Sequence[Feed], *, warehouse: Warehouse, prices: PriceBook, say: Callable[[str], None]
) -> Intake:
    """Take in what is new at every source. A file that cannot be read does not keep the others from being read."""
    intake = Intake()
    for feed in feeds:
        for path, stamp in feed.changed().items():
            try:
                intake += collect(
                    source=feed.source, paths=[path], warehouse=warehouse, prices=prices, role=feed.settings.role
                )
            except BadInput as error:
                say(f"source {feed.settings.name}: {error}")
            feed.seen[path] = stamp
    return intake
