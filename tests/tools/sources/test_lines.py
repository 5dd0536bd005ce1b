"""Lines in blocks: every line once, in order, as it stands in the file."""

import gzip
import json
from pathlib import Path

import pytest

from store.errors import BadInput
from tools.sources.lines import Unreadable, json_rows, line_blocks

_MEBI = 2**20


def _line(number: int, size: int) -> bytes:
    return json.dumps({"n": number, "text": "x" * size}).encode()


def test_blocks_hold_every_line_once(tmp_path: Path) -> None:
    """Lines longer and shorter than a block, blank ones, white space around them and none at the end."""
    sizes = [10, 3 * _MEBI, 0, 700_000, 5 * _MEBI, 1, 9 * _MEBI, 30]
    lines = [_line(number, size) for number, size in enumerate(sizes)]
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"\n \r\n" + b"\r\n\n  ".join(lines))
    blocks = list(line_blocks(path))
    assert len(blocks) > 1
    assert [line for block in blocks for line in block.lines()] == lines
    assert [block.line(number) for block in blocks for number in range(block.rows)] == lines
    assert blocks[-1].at == path.stat().st_size
    assert [row["n"] for row in json_rows(path) if isinstance(row, dict)] == list(range(len(sizes)))


def test_a_line_that_nobody_can_hold_spoils_no_other(tmp_path: Path) -> None:
    """Its beginning is one row that cannot be read; what stands before and after it is read."""
    path = tmp_path / "lines.jsonl.gz"
    path.write_bytes(gzip.compress(_line(0, 5) + b"\n" + _line(1, 41 * _MEBI) + b"\n" + _line(2, 5) + b"\n", 1))
    before, broken, after = json_rows(path)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["n"], after["n"]) == (0, 2)
    assert isinstance(broken, Unreadable)
    assert len(broken.raw) == 16 * _MEBI


def test_what_precedes_damage_is_read(tmp_path: Path) -> None:
    """A packed file that is cut off gives its whole lines, and says how many they were."""
    numbers = range(40_000)
    packed = gzip.compress(b"".join(_line(number, number % 97) + b"\n" for number in numbers), 1)
    path = tmp_path / "lines.jsonl.gz"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    read: list[dict[str, object] | Unreadable] = []
    with pytest.raises(BadInput, match="damaged after row") as error:
        read.extend(json_rows(path))
    assert [row["n"] for row in read if isinstance(row, dict)] == list(range(len(read)))
    assert 20_000 < len(read) < 40_000
    assert f"after row {len(read)} " in str(error.value)
