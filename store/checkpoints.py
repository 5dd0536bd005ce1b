"""The LangGraph saver: a second SQLite file beside the ledger, for runs that are under way, and nothing else.

LangGraph reads LANGGRAPH_STRICT_MSGPACK once, when it is first imported; without it, loading a checkpoint imports
any class that the file names. So this module sets it before it imports LangGraph, and opens no saver where somebody
imported LangGraph earlier without it: import this module first.
"""

import os
import sqlite3
from pathlib import Path

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"

from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.sqlite import SqliteSaver

from store.errors import StorageFailed

_BUSY_TIMEOUT_SECONDS = 10


def open_checkpoints(path: Path) -> SqliteSaver:
    """Open the saver on its own file; `close_checkpoints` closes it. One process uses the file.

    Raises:
        RuntimeError: LangGraph was imported before this module, without strict deserialisation.
        StorageFailed: the file cannot be opened.
    """
    if not _msgpack.STRICT_MSGPACK_ENABLED:
        raise RuntimeError(
            "langgraph was imported before store.checkpoints, not strict: import store.checkpoints first"
        )
    try:
        conn = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False)  # the saver has a lock
        saver = SqliteSaver(conn)
        saver.setup()
    except sqlite3.Error as error:
        raise StorageFailed(f"checkpoints {path}: {error}; delete the file, its runs start again") from error
    return saver


def close_checkpoints(saver: SqliteSaver) -> None:
    """Close the saver's file."""
    saver.conn.close()


def forget_run(saver: SqliteSaver, thread_id: str) -> None:
    """Delete every checkpoint of a run; call it once what the run found is committed to the ledger."""
    saver.delete_thread(thread_id)
