"""Old usage is dropped once a day, by one service."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.app import assemble
from agent.entrypoints.retention import drop_what_is_old
from agent.settings import RetentionSettings, Settings
from store.model.usage import UsageRecord, Window, to_us

NOW = datetime(2026, 11, 3, 5, tzinfo=UTC)


def test_each_day_once(tmp_path: Path) -> None:
    """The first look of a day drops what is too old; the second finds it done; the next day is due again."""
    moments = [NOW]
    settings = Settings(data_dir=tmp_path, retention=RetentionSettings(records_days=50))
    bursar = assemble(settings, clock=lambda: moments[-1], owner="me", checkpointed=False)
    midnight = NOW.replace(hour=0)
    calls = [
        UsageRecord(
            record_id=f"r{days}",
            source="gateway",
            observed_us=to_us(NOW),
            occurred_us=to_us(midnight - timedelta(days=days)),
            provider="anthropic",
            model="claude-opus-4-5",
            output=10,
        )
        for days in (50, 51, 52)
    ]
    bursar.warehouse.append(calls)
    first = drop_what_is_old(bursar)
    assert first is not None
    assert (first.records, first.floor) == (2, midnight - timedelta(days=50))
    assert drop_what_is_old(bursar) is None
    moments.append(NOW + timedelta(days=1))
    second = drop_what_is_old(bursar)
    assert second is not None
    assert second.records == 1
    history = bursar.warehouse.cube(Window(start=NOW - timedelta(days=60), end=NOW), bucket_seconds=3600, dims=())
    assert history.measures["requests"].tolist() == [1, 1, 1]
    bursar.close()


def test_roll_ups_may_not_go_before_their_records() -> None:
    """The message says what must be longer."""
    with pytest.raises(ValidationError, match="rollups_days must be at least as long"):
        RetentionSettings(records_days=90, rollups_days=60)
