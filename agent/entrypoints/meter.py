"""What a long reading says of itself on stderr: rows, rate, quarantined rows, and the time that is left."""

from collections.abc import Callable, Sequence
from pathlib import Path

from store.model.usage import Intake


class Meter:
    """Hears how far a reading has come, and tells it in one line.

    `seconds` is a clock that only rises. The time left follows from the bytes of the files that are still to be read;
    it is left out where the source does not say how many it has read.
    """

    def __init__(self, paths: Sequence[Path], *, seconds: Callable[[], float], tell: Callable[[str], None]) -> None:
        self.intake = Intake()
        self._bytes = sum(path.stat().st_size for path in paths if path.is_file())
        self._seconds, self._tell = seconds, tell
        self._start = seconds()

    def hear(self, intake: Intake, bytes_read: int) -> None:
        """The counts so far, and how many bytes of the files were read (0: not known)."""
        self.intake = intake
        passed = max(self._seconds() - self._start, 1e-3)
        rate = intake.total / passed
        parts = [f"{intake.total:,} rows", f"{rate:,.0f} a second", f"{intake.quarantined:,} quarantined"]
        if 0 < bytes_read < self._bytes:
            parts.append(f"about {_span(passed * (self._bytes - bytes_read) / bytes_read)} left")
        self._tell(", ".join(parts))


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
