"""A statement: all that one source says, at one time, of one account and period, to be taken as a whole.

A provider's bucket and a month of a cloud bill come as statements. Of the statements of one slot (source, account,
period) the one with the greatest (version, digest) holds, whatever the order of arrival; the others hold nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from store.model.canonical import digest
from store.model.usage import UsageRecord

_DERIVED = tuple(UsageRecord._fields.index(name) for name in ("observed_us", "cost_nanos"))


class Statement(NamedTuple):
    """What it speaks of, [start_us, end_us), and when it was made (microseconds since the epoch)."""

    source: str
    account: str
    start_us: int
    end_us: int
    version_us: int

    @property
    def slot(self) -> str:
        """The key of what it speaks of."""
        return digest([self.source, self.account, self.start_us, self.end_us])[:32]


Said = tuple[Statement, UsageRecord | None]
"""A row and the statement that it is of; None for a statement that may have no rows."""


class Offer(NamedTuple):
    """A statement and a digest of its rows, by which two of the same version are told apart."""

    statement: Statement
    digest: str


class StatementState(BaseModel):
    """The statements that hold, of one source and account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    account: str
    periods: int
    provisional: int
    """Those that were made before their period ended: more may come."""
    provisional_from: AwareDatetime | None
    """The start of the first provisional period."""
    newest_at: AwareDatetime
    """When the newest was made."""
    withdrawn: int
    """Rows that an earlier statement had and the present one has not."""


class RowsDigest:
    """Sums up rows, in whatever order they come."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, records: Iterable[UsageRecord]) -> None:
        """Take in rows; when they were observed and what they cost by our prices does not matter."""
        for record in records:
            said = [value for at, value in enumerate(record) if at not in _DERIVED]
            self._sum += int(digest(said)[:32], 16)

    @property
    def text(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._sum % 2**128:032x}"
