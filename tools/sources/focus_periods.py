"""FOCUS's billing periods: which statement a row is of, and when its file was made."""

from datetime import timedelta
from pathlib import Path

from store.errors import BadInput
from store.model.statement import Statement
from store.model.usage import from_us, to_us
from tools.sources.buckets import span_of
from tools.sources.documents import Object
from tools.sources.fields import Faulty, moment, text

_START, _END = "BillingPeriodStart", "BillingPeriodEnd"


def written_us(path: Path) -> int:
    """When a file was last written, in microseconds since the epoch.

    Raises:
        BadInput: it cannot be opened.
    """
    try:
        return path.stat().st_mtime_ns // 1_000
    except OSError as error:
        raise BadInput(f"{path}: the file cannot be opened: {error}") from error


def statement_of(row: Object, source: str, version_us: int) -> Statement:
    """The statement of a row's billing account and billing period.

    Every version requires the period; a cut-down export may lack it, and then it is the UTC month of the charge.
    """
    try:
        start, seconds = span_of(row.get(_START), row.get(_END), (_START, _END))
    except Faulty:
        start, seconds = _month_of(row)
    return Statement(source, text(row.get("BillingAccountId")), start, start + seconds * 10**6, version_us)


def billing_start(row: Object) -> list[int]:
    """The start of a row's billing period; none where it names none. Equal charges of two periods are two charges.

    Raises:
        Faulty: it is no time.
    """
    start = row.get(_START)
    return [] if start is None else [moment(start, "s" if isinstance(start, int | float) else "iso", _START)]


def _month_of(row: Object) -> tuple[int, int]:
    """The start and the seconds of the UTC month of a charge; the epoch where it names no time."""
    try:
        charged = from_us(moment(row.get("ChargePeriodStart"), "iso", "ChargePeriodStart"))
    except Faulty:
        return 0, 1
    first = charged.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return to_us(first), int((following - first).total_seconds())
