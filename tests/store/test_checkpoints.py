"""The saver is strict, forgets ended runs, and refuses to open where LangGraph came first."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

RUN = """
import sys
from pathlib import Path
from typing import TypedDict
from store.checkpoints import close_checkpoints, forget_run, open_checkpoints
from langgraph.graph import END, START, StateGraph

class State(TypedDict):
    n: int

def step(state: State) -> State:
    return {"n": state["n"] + 1}

saver = open_checkpoints(Path(sys.argv[1]))
graph = StateGraph(State).add_node("step", step).add_edge(START, "step").add_edge("step", END).compile(saver)
config = {"configurable": {"thread_id": "inc-1:1:1"}}
assert graph.invoke({"n": 1}, config)["n"] == 2
close_checkpoints(saver)

saver = open_checkpoints(Path(sys.argv[1]))
assert saver.get_tuple(config) is not None, "the run outlives the process"
forget_run(saver, "inc-1:1:1")
assert saver.get_tuple(config) is None
for table in ("checkpoints", "writes"):
    assert saver.conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
close_checkpoints(saver)
"""

STRICT = """
import sys
from pathlib import Path
from store.checkpoints import open_checkpoints
from store.model.remedy import Claim

saver = open_checkpoints(Path(sys.argv[1]))
kind, data = saver.serde.dumps_typed(Claim(remedy_id="r", owner="o", fence=1))
loaded = saver.serde.loads_typed((kind, data))
assert not isinstance(loaded, Claim), "a class named by the file was imported"
"""

TOO_LATE = """
import sys
from pathlib import Path
import langgraph.checkpoint.sqlite
from store.checkpoints import open_checkpoints
try:
    open_checkpoints(Path(sys.argv[1]))
except RuntimeError as error:
    assert "import store.checkpoints first" in str(error)
else:
    raise SystemExit("it opened")
"""

FOREIGN = """
import sys
from pathlib import Path
from store.checkpoints import open_checkpoints
from store.errors import StorageFailed
path = Path(sys.argv[1])
path.write_text("not a database" * 100)
try:
    open_checkpoints(path)
except StorageFailed as error:
    assert str(path) in str(error)
else:
    raise SystemExit("it opened")
"""


def test_a_run_outlives_its_process_until_it_is_forgotten(tmp_path: Path) -> None:
    """delete_thread leaves no row behind."""
    _run(RUN, tmp_path)


def test_loading_imports_no_class(tmp_path: Path) -> None:
    """Strict msgpack holds for the saver's own serialiser."""
    _run(STRICT, tmp_path)


def test_a_saver_is_refused_where_langgraph_came_first(tmp_path: Path) -> None:
    """The variable is read once, at LangGraph's import."""
    _run(TOO_LATE, tmp_path)


def test_a_foreign_file_fails_clearly(tmp_path: Path) -> None:
    """StorageFailed with the path."""
    _run(FOREIGN, tmp_path)


def _run(script: str, folder: Path) -> None:
    """In a process of its own: what was imported first is the point."""
    environment = {name: value for name, value in os.environ.items() if name != "LANGGRAPH_STRICT_MSGPACK"}
    command = [sys.executable, "-c", script, str(folder / "checkpoints.db")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
