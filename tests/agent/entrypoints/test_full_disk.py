"""A full disk: said plainly, nothing half-written, and the same command succeeds once there is room."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

from tests.agent.entrypoints.test_cli import bursar, call

ROOM = 1_500_000
"""Bytes that a file may have; the kernel answers EFBIG beyond it, as it answers ENOSPC on a full disk."""


def cramped() -> None:
    """In the child: no file may grow beyond ROOM."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Exit code 1, one plain line, no traceback; afterwards every row is there, once."""
    rows = [call(f"call-{i:06d}", 1793620800.0 + i, request_tags=[f"job:{i * 7919:08d}"]) for i in range(20_000)]
    (tmp_path / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [str(Path(sys.executable).parent / "bursar"), "ingest", "litellm", "usage.jsonl", "--json"]
    full = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=cramped,
    )
    assert full.returncode == 1, full.stdout + full.stderr
    assert "usage warehouse" in full.stderr
    assert "Traceback" not in full.stderr
    assert full.stdout == ""
    again = bursar("ingest", "litellm", "usage.jsonl", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"accepted": 20_000, "duplicate": 0, "superseded": 0, "quarantined": 0}
