"""Files of JSON documents: lines or one document, whole or damaged."""

import gzip
import json
from pathlib import Path

import pytest

from store.errors import BadInput
from tools.sources.documents import json_documents
from tools.sources.lines import Unreadable

_ROWS = [{"a": 1}, {"a": 2, "deep": {"b": [1, 2]}}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz"])
def test_a_list_and_an_object_of_any_layout(name: str, indent: int | None, tmp_path: Path) -> None:
    """On one line or many, plain or gzipped, blank lines before it or not."""
    for document, rows in ((_ROWS, _ROWS), (_ROWS[1], [_ROWS[1]])):
        content = b"\n\n" + json.dumps(document, indent=indent).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        assert list(json_documents(tmp_path / name)) == rows


def test_an_odd_layout_of_one_object(tmp_path: Path) -> None:
    """An object that begins on its first line and ends on another is one document too."""
    (tmp_path / "odd.json").write_text('{"a":\n 1}')
    assert list(json_documents(tmp_path / "odd.json")) == [{"a": 1}]


def test_a_broken_first_line_does_not_hide_the_others(tmp_path: Path) -> None:
    """JSON lines stay lines: each line that is no object comes out as unreadable."""
    (tmp_path / "rows.jsonl").write_text('{"a": \n{"a": 2}\n')
    broken, row = json_documents(tmp_path / "rows.jsonl")
    assert isinstance(broken, Unreadable)
    assert row == {"a": 2}


def test_elements_that_are_no_objects(tmp_path: Path) -> None:
    """They are unreadable; the elements beside them are read."""
    (tmp_path / "rows.json").write_text('[1, {"a": 2}, null]')
    assert [isinstance(row, Unreadable) for row in json_documents(tmp_path / "rows.json")] == [True, False, True]


@pytest.mark.parametrize("content", ['[\n{"a": 1},\n{"a":', '{\n"a": [1,\n', "[1, 2", "[]x"])
def test_a_document_that_is_cut_off(content: str, tmp_path: Path) -> None:
    """It is told, instead of being taken for lines."""
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(BadInput, match="nothing of it was read"):
        list(json_documents(tmp_path / "rows.json"))


def test_an_empty_file_has_no_documents(tmp_path: Path) -> None:
    """Nothing, and a list of nothing."""
    for content in ("", "\n\n", "[]"):
        (tmp_path / "rows.json").write_text(content)
        assert list(json_documents(tmp_path / "rows.json")) == []
