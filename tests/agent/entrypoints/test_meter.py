"""A long reading says how far it is, and what was read stays when it is interrupted."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from agent.entrypoints.meter import Meter
from agent.steps.collect import collect
from store.model.usage import Intake, Quarantined, UsageRecord
from store.model.usage_batch import Delivery, batch_of
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.checks.check_source import at
from tests.checks.check_warehouse import record


def test_rate_and_time_left(tmp_path: Path) -> None:
    """Rows, their rate, the quarantined ones, and the time that the other bytes will take, if there are any."""
    path = tmp_path / "usage.jsonl"
    path.write_bytes(b"x" * 1_000)
    now = [0.0]
    said: list[str] = []
    meter = Meter([path, tmp_path / "none"], seconds=lambda: now[0], tell=said.append)
    now[0] = 2.0
    meter.hear(Intake(accepted=990, quarantined=10), 100)
    meter.hear(Intake(accepted=990, quarantined=10), 0)
    now[0] = 300.0
    meter.hear(Intake(accepted=3_000), 1)
    meter.hear(Intake(accepted=3_000), 1_000)
    assert said == [
        "1,000 rows, 500 a second, 10 quarantined, about 18 s left",
        "1,000 rows, 500 a second, 10 quarantined",
        "3,000 rows, 10 a second, 0 quarantined, about 83.2 h left",
        "3,000 rows, 10 a second, 0 quarantined",
    ]


class _Interrupted:
    """A source whose reader loses patience after the first delivery."""

    def read(self, paths: Iterable[Path]) -> Iterator[UsageRecord | Quarantined]:
        raise AssertionError(f"{paths} are to be read by columns")

    def deliveries(self, paths: Iterable[Path]) -> Iterator[Delivery]:  # noqa: ARG002 # there are none
        yield Delivery(batch_of([record("a"), record("b")]), (), 10)
        raise KeyboardInterrupt


def test_what_was_read_before_an_interruption_stays() -> None:
    """The batch that was being kept is kept whole and heard of; then the interruption goes on."""
    warehouse = open_duckdb(None, clock=at())
    heard: list[Intake] = []
    with pytest.raises(KeyboardInterrupt):
        collect(
            source=_Interrupted(),
            paths=[],
            warehouse=warehouse,
            prices=PriceBook(),
            progress=lambda intake, _: heard.append(intake),
        )
    assert heard == [warehouse.taken()] == [Intake(accepted=2)]
    warehouse.close()
