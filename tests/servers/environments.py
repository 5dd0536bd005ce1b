"""Virtual environments of servers whose packages do not fit ours: made once below `.venv`, locked with hashes."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_HOME = Path(__file__).parents[2] / ".venv"
_UNREACHABLE = ("NewConnectionError", "ConnectTimeoutError", "Temporary failure in name resolution", "ProxyError")


def interpreter_of(name: str, requirements: Path) -> Path:
    """The interpreter of a server's environment; two test processes wait for one that makes it.

    Skips the test where the package registry is not reachable.
    """
    _HOME.mkdir(exist_ok=True)
    home = _HOME / name
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    with (_HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = home / ".made-from"
        if not made.exists() or made.read_text() != wanted:
            _make(home, requirements)
            made.write_text(wanted)
    return home / "bin" / "python"


def _make(home: Path, requirements: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    command = [str(home / "bin" / "python"), *install, "-r", str(requirements)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return
    if any(word in done.stderr for word in _UNREACHABLE):
        pytest.skip(f"{home.name} cannot be installed, the package registry is not reachable: {done.stderr[-300:]}")
    pytest.fail(f"pip could not install {requirements.name}: {done.stderr[-2000:]}")
