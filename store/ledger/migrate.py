"""Brings a ledger's tables to the revision that this code knows, by Alembic, in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from store.errors import BadInput
from store.ledger.database import Database

_ONE_UPGRADE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(4201871)")


def upgrade(database: Database) -> None:
    """Create the tables or upgrade them; nothing happens where they are up to date.

    Raises:
        BadInput: the database is of a revision that this version does not know.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with database.bare() as conn:
        if not database.is_sqlite:
            conn.execute(_ONE_UPGRADE_AT_A_TIME)
        current = MigrationContext.configure(conn).get_current_revision()
        if current == scripts.get_current_head():
            return
        _refuse_unknown(current, scripts, conn)
        config.attributes["connection"] = conn
        command.upgrade(config, "head")


def _refuse_unknown(current: str | None, scripts: ScriptDirectory, conn: Connection) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise BadInput(
            f"ledger {conn.engine.url.render_as_string(hide_password=True)}: it is of revision {current!r}, which this "
            f"version of Bursar does not know (it knows {', '.join(sorted(known))}); start the newer Bursar again"
        )
