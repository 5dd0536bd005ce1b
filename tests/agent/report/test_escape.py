"""Text from traffic is harmless once it is escaped."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agent.report.escape import NAME_CHARS, markdown, plain
from tests.agent.report.hostile import hostile


@settings(max_examples=300, deadline=None)
@given(text=hostile, limit=st.integers(min_value=1, max_value=120))
def test_plain_text_is_one_bounded_line_of_visible_characters(text: str, limit: int) -> None:
    """However long and strange the text is, one short line comes out, without control or invisible characters."""
    line = plain(text, limit=limit)
    assert line
    assert len(line) <= max(limit, len("(empty)"))
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert line == line.strip()


def test_text_that_is_cut_says_so() -> None:
    """A reader can tell that a name went on."""
    assert plain("x" * 100, limit=10) == "xxxxxxxxx…"
    assert plain("x" * 10, limit=10) == "xxxxxxxxxx"
    assert plain("\u200b" * 10_000 + "tail", limit=10).endswith("…")


def test_common_names_stay_as_they_are() -> None:
    """Escaping is not felt where nothing is hostile."""
    for name in ("search", "team=search app=indexer", "claude-haiku-4.5", "key_7f31", "R&D", "a/b:c", "99.5 %, (x)"):
        assert markdown(name, limit=NAME_CHARS) == name


@settings(max_examples=400, deadline=None)
@given(text=hostile)
def test_markdown_text_is_only_text_for_a_parser(text: str) -> None:
    """A Markdown parser with tables and raw HTML on finds nothing but text in it, in a list item and in a cell."""
    line = markdown(text, limit=NAME_CHARS)
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    (inline,) = [token for token in parser.parse(f"- **Name** {line} end\n") if token.type == "inline"]
    kinds = [child.type for child in inline.children or () if child.type != "text"]
    assert kinds == ["strong_open", "strong_close"]
    cells = [
        token.content for token in parser.parse(f"| a | b |\n|---|---|\n| {line} | end |\n") if token.type == "inline"
    ]
    assert cells == ["a", "b", line, "end"]


@settings(max_examples=400, deadline=None)
@given(text=hostile)
def test_markdown_text_mentions_nobody_and_links_nowhere(text: str) -> None:
    """Slack, GitHub and mail programs find no mention, channel, issue, address or entity in it."""
    line = markdown(text, limit=NAME_CHARS)
    assert not set(line) & set("<>|`@#*~[]\\\n\r")
    assert "://" not in line
    assert "www." not in line.lower()
    assert "&lt;" not in line
    assert "&#" not in line
