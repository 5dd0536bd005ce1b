"""The configured sources, read again and again: only files that changed since they were last read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TypedDict

from agent.settings import SourceSettings
from agent.steps.collect import collect
from agent.steps.restate import Stating, restate
from store.errors import BadInput
from store.model.amendment import AS_SAID, Amendment
from store.model.ports import Clock, Source, Warehouse
from store.model.usage import Intake, Role
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
        stamps = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in self._matching()}
        return {path: stamp for path, stamp in stamps.items() if self.seen.get(path) != stamp}

    def readings(self, changed: Iterable[Path]) -> list[list[Path]]:
        """What is to be read together: each file by itself, or, where files are parts of statements, each folder."""
        if not isinstance(self.source, Stating):
            return [[path] for path in changed]
        folders = dict.fromkeys(path.parent for path in changed)
        return [[path for path in self._matching() if path.parent == folder] for folder in folders]

    def _matching(self) -> list[Path]:
        return sorted({Path(name) for pattern in self.settings.paths for name in glob(pattern)})  # noqa: PTH207 # absolute patterns


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
    feeds: Sequence[Feed],
    *,
    warehouse: Warehouse,
    prices: PriceBook,
    amendment: Amendment = AS_SAID,
    say: Callable[[str], None],
) -> Intake:
    """Take in what is new at every source. A file that cannot be read does not keep the others from being read."""
    intake = Intake()
    for feed in feeds:
        changed = feed.changed()
        for paths in feed.readings(changed):
            given = _Given(
                paths=paths, warehouse=warehouse, prices=prices, role=feed.settings.role, amendment=amendment
            )
            try:
                if isinstance(feed.source, Stating):
                    intake += restate(source=feed.source, **given)
                else:
                    intake += collect(source=feed.source, **given)
            except BadInput as error:
                say(f"source {feed.settings.name}: {error}")
        feed.seen.update(changed)
    return intake


class _Given(TypedDict):
    paths: Sequence[Path]
    warehouse: Warehouse
    prices: PriceBook
    role: Role
    amendment: Amendment
