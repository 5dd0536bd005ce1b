"""One service per data directory: the second is told so, instead of writing beside the first."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.errors import Busy, StorageFailed

_FILE = "bursar.lock"


@contextmanager
def lock_data_dir(path: Path) -> Iterator[None]:
    """Hold the data directory for this process; the directory is made where it is missing.

    The kernel lets go when the process ends, however it ends. Commands that only open the ledger need no lock.

    Raises:
        Busy: another service holds it; the message names its process id.
        StorageFailed: the lock file cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = (path / _FILE).open("a+")
    except OSError as error:
        raise StorageFailed(f"data directory {path}: {error.strerror}; check that it may be written") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise Busy(
                f"data directory {path}: another bursar service (process {file.read().strip() or 'unknown'}) holds it; "
                "stop that one, or give this one another --data-dir"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
