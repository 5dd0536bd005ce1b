"""The ledger's tables, alike on SQLite and PostgreSQL.

Times are BIGINT microseconds since the epoch (`_us`). A noun that never changes is kept whole, as the canonical
JSON of its model, in `body`, beside the columns that are queried. Migrations must agree with this file (a test).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in an INTEGER PRIMARY KEY."""


def _proposal_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["remedy_id", "revision"], ["proposals.remedy_id", "proposals.revision"])


incidents = Table(
    "incidents",
    METADATA,
    Column("id", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "started_us"),
)

findings = Table(
    "findings",
    METADATA,
    Column("incident_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
)

proposals = Table(
    "proposals",
    METADATA,
    Column("remedy_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("position"),
    Index(None, "incident_id"),
)

alternatives = Table(
    "alternatives",
    METADATA,
    Column("remedy_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("position"),
    Index(None, "incident_id"),
)

rulings = Table(
    "rulings",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("remedy_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("phase", String, nullable=False),
    Column("body", Text, nullable=False),
    _proposal_key(),
    Index(None, "remedy_id", "revision"),
)

votes = Table(
    "votes",
    METADATA,
    Column("remedy_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("person", String, primary_key=True),
    Column("choice", String, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    _proposal_key(),
)

extensions = Table(
    "extensions",
    METADATA,
    Column("remedy_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("ends_us", BigInteger, primary_key=True, autoincrement=False),  # the end that stood when they said so
    Column("until_us", BigInteger, primary_key=True, autoincrement=False),  # 0: for good
    Column("person", String, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    _proposal_key(),
)

decisions = Table(
    "decisions",
    METADATA,
    Column("remedy_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("outcome", String, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
    _proposal_key(),
)

remedies = Table(
    "remedies",
    METADATA,
    Column("remedy_id", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("outcome", String),
    Column("fence", Integer, nullable=False),
    Column("lease_owner", String),
    Column("lease_until_us", BigInteger),  # database time, never the business clock
    Column("due_us", BigInteger),
    Column("applied_us", BigInteger),
    Column("lease_ends_us", BigInteger),
    Column("revert_reason", Text),
    Column("attempts", Integer, nullable=False),
    Column("reverts", Integer, nullable=False),
    Column("escalations", Integer, nullable=False),
    _proposal_key(),
    Index(None, "due_us"),
    Index(None, "incident_id"),
)

applications = Table(
    "applications",
    METADATA,
    Column("id", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("remedy_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("verb", String, nullable=False),
    Column("intended_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    _proposal_key(),
    UniqueConstraint("position"),
    Index(None, "remedy_id"),
    Index(None, "verb", "intended_us"),
)

verifications = Table(
    "verifications",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("remedy_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
    _proposal_key(),
    Index(None, "remedy_id"),
)

switches = Table(
    "switches",
    METADATA,
    Column("name", String, primary_key=True),
    Column("is_on", Boolean, nullable=False),
    Column("set_by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

windows = Table(
    "windows",
    METADATA,
    Column("kind", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("start_us", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", String, nullable=False),
    Column("lease_until_us", BigInteger, nullable=False),  # database time
    Column("finished_us", BigInteger),
    Column("result", Text),
)

outbox = Table(
    "outbox",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_us", BigInteger),
    Column("ref", String),
    Column("error", Text),
    Index(None, "sent_us", "next_us"),
)

inbox = Table(
    "inbox",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("dedupe_key", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("done_us", BigInteger),
    UniqueConstraint("dedupe_key"),
    Index(None, "done_us"),
)

audit = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("payload_hash", String(64), nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

audit_head = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

guard_rules = Table(
    "guard_rules",
    METADATA,
    Column("slot", String(64), primary_key=True),
    Column("kind", String, nullable=False),
    Column("target", Text, nullable=False),
    Column("from_model", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("beneath_us", BigInteger),
    Column("held", Text, nullable=False),
    Column("beneath", Text, nullable=False),
)

guard_answers = Table(
    "guard_answers",
    METADATA,
    Column("key", String, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Index(None, "at_us"),
)

guard_book = Table(
    "guard_book",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("issued_us", BigInteger, nullable=False),
)

guard_proxies = Table(
    "guard_proxies",
    METADATA,
    Column("proxy_id", String, primary_key=True),
    Column("body", Text, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
)

model_calls = Table(
    "model_calls",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("purpose", String, nullable=False),
    Column("model", String, nullable=False),
    Column("nanos", BigInteger, nullable=False),  # set aside until settled, then what it cost
    Column("tokens", BigInteger, nullable=False),
    Column("settled", Boolean, nullable=False),
    Index(None, "incident_id"),
    Index(None, "at_us"),
)

transcripts = Table(
    "transcripts",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("incident_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "incident_id"),
)

terms = Table(
    "terms",
    METADATA,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("changed_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

doubts = Table(
    "doubts",
    METADATA,
    Column("kind", String, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("since_us", BigInteger, primary_key=True, autoincrement=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("says", Text, nullable=False),
    Index(None, "ended_us"),
)
