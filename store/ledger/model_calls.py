"""What calls to a model cost, reserved before and settled after, and the transcripts of what was said."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Column, ColumnElement, delete, func, insert, select, update

from store.ledger import tables
from store.ledger.part import Part
from store.ledger.text import body_of
from store.model.transcript import Purpose, ReviewOutcome, Transcript
from store.model.usage import floor_to, from_us, to_us

KEPT = timedelta(days=90)
"""How long transcripts and the costs of single calls stay; a finding keeps what it cost for good."""

_DAY = 86_400

Refusal = Literal["incident_usd", "incident_tokens", "day_usd"]


class CallCaps(NamedTuple):
    """What calls for one incident may cost together, and all calls of one UTC day."""

    incident_nanos: int
    incident_tokens: int
    day_nanos: int


class ModelCalls(Part):
    """A call that was reserved and never settled counts as if it had cost all that it could."""

    def reserve_model_call(
        self, incident_id: str, *, purpose: Purpose, model: str, nanos: int, tokens: int, caps: CallCaps
    ) -> int | Refusal:
        """Set aside what a call may cost at most; its number, or the cap that it would pass."""
        table = tables.model_calls
        with self._db.write() as tx:
            of_incident = table.c.incident_id == incident_id
            day_us = to_us(floor_to(tx.now, _DAY))
            today = (table.c.at_us >= day_us, table.c.at_us < day_us + _DAY * 1_000_000)
            for name, column, where, amount, cap in (
                ("incident_usd", table.c.nanos, (of_incident,), nanos, caps.incident_nanos),
                ("incident_tokens", table.c.tokens, (of_incident,), tokens, caps.incident_tokens),
                ("day_usd", table.c.nanos, today, nanos, caps.day_nanos),
            ):
                spent = tx.conn.scalar(select(_sum(column)).where(*where)) or 0
                if spent + amount > cap:
                    refusal: Refusal = name  # type: ignore[assignment]  # the three names above
                    return refusal
            row = {"incident_id": incident_id, "at_us": tx.now_us, "purpose": purpose, "model": model}
            made = tx.conn.execute(insert(table).values(**row, nanos=nanos, tokens=tokens, settled=False))
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def settle_model_call(self, call: int, *, nanos: int, tokens: int) -> None:
        """Put what a call did cost in place of what was set aside; a second settling changes nothing."""
        table = tables.model_calls
        with self._db.write() as tx:
            open_call = update(table).where(table.c.id == call, table.c.settled.is_(False))
            tx.conn.execute(open_call.values(nanos=nanos, tokens=tokens, settled=True))

    def model_nanos(self, *, since: datetime) -> int:
        """Nano-USD that calls since then did or may cost."""
        table = tables.model_calls
        with self._db.read() as tx:
            return int(tx.conn.scalar(select(_sum(table.c.nanos)).where(table.c.at_us >= to_us(since))) or 0)

    def save_transcript(self, transcript: Transcript) -> None:
        """Keep what was said; every review is a row of its own. What is older than KEPT goes."""
        calls, old = tables.model_calls, tables.transcripts
        with self._db.write() as tx:
            before_us = to_us(tx.now - KEPT)
            tx.conn.execute(delete(old).where(old.c.made_us < before_us))
            tx.conn.execute(delete(calls).where(calls.c.at_us < before_us))
            tx.conn.execute(
                insert(tables.transcripts).values(
                    incident_id=transcript.incident_id,
                    revision=transcript.revision,
                    made_us=to_us(transcript.made_at),
                    outcome=transcript.outcome,
                    body=body_of(transcript),
                )
            )

    def transcripts(self, incident_id: str) -> list[Transcript]:
        """All reviews of an incident, oldest first."""
        table = tables.transcripts
        wanted = select(table.c.body).where(table.c.incident_id == incident_id).order_by(table.c.id)
        with self._db.read() as tx:
            return [Transcript.model_validate_json(body) for body in tx.conn.scalars(wanted)]

    def review_outcomes(self, *, limit: int) -> list[tuple[datetime, ReviewOutcome]]:
        """When and how the newest reviews ended, newest first."""
        table = tables.transcripts
        wanted = select(table.c.made_us, table.c.outcome).order_by(table.c.id.desc()).limit(limit)
        with self._db.read() as tx:
            return [(from_us(row.made_us), row.outcome) for row in tx.conn.execute(wanted)]


def _sum(column: "Column[int]") -> ColumnElement[int]:
    return func.coalesce(func.sum(column), 0)
