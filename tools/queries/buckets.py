"""How finely a question needs to look."""

from datetime import datetime

from store.model.usage import Window


def widest_bucket(window: Window) -> int:
    """The widest rollup bucket, 3600 or 300 seconds, whose edges meet those of the window."""
    return 3600 if _on_hour(window.start) and _on_hour(window.end) else 300


def _on_hour(moment: datetime) -> bool:
    return moment.minute == moment.second == moment.microsecond == 0
