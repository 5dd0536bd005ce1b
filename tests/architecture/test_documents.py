"""Documents that are made from the code say what the code says."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_command_line_reference_is_that_of_the_commands(tmp_path: Path) -> None:
    """`make docs` writes it."""
    made = tmp_path / "cli.md"
    command = [sys.executable, "-m", "typer", "agent.entrypoints.cli", "utils", "docs"]
    done = subprocess.run(
        [*command, "--name", "bursar", "--output", str(made)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert made.read_text() == (ROOT / "docs" / "cli.md").read_text(), "run `make docs`"
