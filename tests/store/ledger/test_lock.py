"""One service per data directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from store.errors import Busy, StorageFailed
from store.ledger.lock import lock_data_dir

HOLD = """
import sys
from pathlib import Path
from store.ledger.lock import lock_data_dir
with lock_data_dir(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_service_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    """Busy while the first process lives; free the moment it is killed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Busy, match=f"process {holder.pid}"), lock_data_dir(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with lock_data_dir(tmp_path):
        pass


def test_the_folder_is_made_and_let_go(tmp_path: Path) -> None:
    """Twice in a row is fine, twice at once is not, in one process too."""
    folder = tmp_path / "new" / "data"
    for _ in range(2):
        with lock_data_dir(folder), pytest.raises(Busy), lock_data_dir(folder):
            pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file"), lock_data_dir(tmp_path / "file"):
        pass
