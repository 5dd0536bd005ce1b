"""`bursar attribute` as scripts rely on it: one JSON document, exit codes, one clear line for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

COLUMNS = ("--dims", "team,key", "--actual", "real", "--expected", "predict")


def bursar(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder."""
    command = [str(Path(sys.executable).parent / "bursar"), "attribute", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def leaves(tmp_path: Path) -> Path:
    """Eight teams with the keys 007, 12 and none; the key 007 of team t3 costs five times what was expected."""
    lines = ["team,key,real,predict,n"]
    for team in range(8):
        for key in ("007", "12", ""):
            real = 50.5 if (team, key) == (3, "007") else 10 + 0.01 * team
            lines.append(f"t{team},{key},{real},{10 if key else ''},{20 if key else 0}")
    path = tmp_path / "leaves.csv"
    path.write_text("\n".join(lines[:1] + [line for line in lines[1:] if ",," not in line]) + "\n")
    return path


def test_a_csv_names_the_cause(leaves: Path, tmp_path: Path) -> None:
    """The causes come best first with their share; a key of digits keeps its zeros."""
    done = bursar("leaves.csv", *COLUMNS, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["causes"][0]["dims"] == {"team": "t3", "key": "007"}
    assert document["causes"][0]["explained"] == pytest.approx(1.0, abs=0.05)
    assert document["total"] == {"actual": pytest.approx(201.03), "expected": 160.0}
    assert set(document["causes"][0]) == {"dims", "explained", "score", "change", "rival"}


def test_a_ratio_has_weighted_totals(leaves: Path, tmp_path: Path) -> None:
    """With --weight the totals are means, and the text for people names the same cause."""
    done = bursar("leaves.csv", *COLUMNS, "--weight", "n", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["total"] == {"actual": pytest.approx(201.03 / 16), "expected": pytest.approx(10.0)}
    text = bursar("leaves.csv", *COLUMNS, "--weight", "n", "--top", "1", cwd=tmp_path).stdout
    assert "team=t3, key=007" in text


def test_parquet_with_missing_values(tmp_path: Path) -> None:
    """A missing dimension value is "(none)", a missing expectation of an amount is zero."""
    teams = [f"t{i}" for i in range(12)] + [None]
    table = pa.table({"team": teams, "real": [10.0] * 12 + [90.0], "predict": [10.0] * 12 + [None]})
    pa_parquet.write_table(table, tmp_path / "leaves.parquet")
    done = bursar(
        "leaves.parquet", "--dims", "team", "--actual", "real", "--expected", "predict", "--json", cwd=tmp_path
    )
    assert [cause["dims"] for cause in json.loads(done.stdout)["causes"]] == [{"team": "(none)"}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gone.csv", *COLUMNS), "gone.csv"),
        (("leaves.csv", "--dims", "team,kex", "--actual", "real", "--expected", "predict"), "it has team, key, real"),
        (("leaves.csv", "--dims", "team,team", "--actual", "real", "--expected", "predict"), "--dims"),
        (("leaves.csv", "--dims", "key", "--actual", "team", "--expected", "predict"), "not a column of numbers"),
        (("leaves.csv", *COLUMNS, "--top", "0"), "--top"),
        (("minus.csv", *COLUMNS), "'real', row 2: -3; write a number from 0 up"),
    ],
)
def test_bad_input_is_said_in_one_line(leaves: Path, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """Exit code 2, nothing on stdout, and what, where and what to do on stderr."""
    (tmp_path / "minus.csv").write_text("team,key,real,predict\na,b,1,1\na,c,-3,1\n")
    done = bursar(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
