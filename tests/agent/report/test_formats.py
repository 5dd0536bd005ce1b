"""The three formats say the same, read well, and stay whole whatever traffic calls itself."""

import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from agent.report import chart, html, markdown
from agent.report.compose import view_of
from agent.report.write import write
from store.errors import BadInput, StorageFailed
from store.model.incident import TrustNote
from store.model.summary import IncidentLine, WeeklySummary
from store.model.usage import Scope
from tests.agent.report.hostile import hostile
from tests.agent.report.weeks import a_week

VOID = {"meta", "img", "source", "br", "link", "input"}
FIXED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "div", "h1", "h2", "h3", "h4", "p", "dl"),
    *("dt", "dd", "figure", "picture", "source", "img", "figcaption", "section", "ul", "li", "article", "span", "b"),
    *("ol", "table", "thead", "tbody", "tr", "th", "td", "footer"),
}


class Page(HTMLParser):
    """Collects what a browser would build of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(summary: WeeklySummary) -> Page:
    page = Page()
    page.feed(html.render(view_of(summary), light=b"png", dark=b"png"))
    page.close()
    assert page.open == []
    return page


def poisoned(text: str) -> WeeklySummary:
    """The week, with one text in every place that traffic or people can fill."""
    week = a_week()
    name = Scope.of(team=text, session_id=text)
    lines = tuple(_poisoned_line(line, text, name) for line in week.incidents)
    return week.model_copy(
        update={
            "incidents": lines,
            "trust": (TrustNote(scope=name, kind="disagreement", says=text),),
            "by_team": ((text, 5, 4),),
            "still_open": (text,),
            "waiting": (text,),
        }
    )


def _poisoned_line(line: IncidentLine, text: str, name: Scope) -> IncidentLine:
    update = {"what": text, "rule": text, "playbook": text, "decided_by": (text, text), "note": text, "remedy_id": text}
    remedies = tuple(one.model_copy(update=update) for one in line.remedies)
    return line.model_copy(
        update={"scope": name, "because": text, "planned": text, "remedies": remedies, "incident_id": text}
    )


@settings(max_examples=60, deadline=None)
@given(text=hostile)
def test_hostile_text_never_breaks_the_markdown(text: str) -> None:
    """No tag, link, mention or code; both tables keep every cell, and the headings stay ours."""
    out = markdown.render(view_of(poisoned(text)), picture="week.png")
    tokens = MarkdownIt("commonmark").enable("table").parse(out)
    children = {child.type for token in tokens for child in token.children or ()}
    assert children <= {"text", "strong_open", "strong_close", "image", "softbreak"}
    assert {token.type for token in tokens}.isdisjoint({"html_block", "fence", "code_block", "blockquote_open"})
    assert sum(token.type == "td_open" for token in tokens) == 6 * 6 + 4
    assert [child.type for token in tokens for child in token.children or ()].count("image") == 1
    assert [token.type for token in tokens].count("heading_open") == 1 + 1 + 6 + 4
    assert not set(out) & set("<>@`\\~")


@settings(max_examples=60, deadline=None)
@given(text=hostile)
def test_hostile_text_never_breaks_the_page(text: str) -> None:
    """Every tag and attribute is ours, all tags are closed, and nothing points outside the file."""
    page = page_of(poisoned(text))
    assert set(page.tags) <= FIXED_TAGS
    assert page.tags.count("img") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "href"]
    addresses = [value or "" for name, value in page.attributes if name in ("src", "srcset")]
    assert all(address.startswith("data:image/png;base64,") for address in addresses)


@settings(max_examples=5, deadline=None)
@given(text=hostile)
def test_the_chart_shows_no_text_of_traffic(text: str) -> None:
    """The same picture, whatever teams, sessions and reasons are called."""
    week = a_week().model_copy(update={"incidents": a_week().incidents[:1]})
    line = week.incidents[0]
    named = line.model_copy(update={"scope": Scope.of(team=text), "because": text})
    assert chart.png(week.model_copy(update={"incidents": (named,)})) == chart.png(week)


def test_the_document_stays_small_for_huge_names() -> None:
    """Names of a million characters give a summary of a few pages."""
    view = view_of(poisoned("x" * 10**6))
    assert len(markdown.render(view)) < 30_000
    assert len(html.render(view, light=b"", dark=b"")) < 60_000


def test_the_markdown_tells_the_week() -> None:
    """Sums, causes, deciders, times in the named zone, and what is still open are all there."""
    out = markdown.render(view_of(a_week()), picture="week.png")
    for part in (
        "# Weekly incident summary: Week 47, Mon 16 Nov to 22 Nov 2026",
        "**Lost** $3,728.56 ($1,180.00 more was planned, growth or faulty telemetry)",
        "**Avoided** $7,656.05",
        "**Net** +$3,927.49",
        "rule session-caps",
        "started Mon 16 Nov 09:00 (Europe/Berlin), detected after 10 min",
        "$3,310.25 saved in 1 d, where $3,600.00 saved was expected, interval $2,890.00 to $3,702.10",
        "$80.40 more spent in 1 h 00 min, where $75.00 saved was expected, interval -$122.00 to -$41.00",
        "Organic growth is not counted as lost",
        "## Waiting for a person",
        "## Still open",
        "have no price and are in no sum",
        "![Spend in each hour",
        "Times are in Europe/Berlin",
    ):
        assert part in out


def test_the_page_tells_the_week() -> None:
    """The page says what the Markdown says, names its language and describes its picture."""
    page = page_of(a_week())
    text = " ".join(" ".join(page.text).split())
    for part in (
        "Week 47",
        "$3,728.56",
        "+$3,927.49",
        "did harm, reverted",
        "waiting for a decision",
        "Decision trail",
    ):
        assert part in text
    attributes = dict(page.attributes)
    assert attributes["lang"] == "en"
    assert "dearest hour was Mon 16 Nov" in (attributes["alt"] or "")


def test_a_shadow_week_without_incidents_reads_well() -> None:
    """An empty week is said in words, in every format."""
    quiet = a_week().model_copy(
        update={
            "incidents": (),
            "lost_nanos": 0,
            "avoided_nanos": 0,
            "still_open": (),
            "waiting": (),
            "series": (),
            "by_team": (),
            "trust": (),
            "mode": "shadow",
        }
    )
    out = markdown.render(view_of(quiet))
    assert "No incident cost anything above the baseline" in out
    assert "shadow: only watches" in out
    assert "No incidents in this week." in " ".join(page_of(quiet).text)
    assert chart.png(quiet).startswith(b"\x89PNG")


def test_the_chart_is_of_the_promised_size_and_always_the_same() -> None:
    """1200 x 500 pixels; equal summaries give equal bytes, the dark one differs."""
    first, second = chart.png(a_week()), chart.png(a_week())
    assert first == second
    assert struct.unpack(">II", first[16:24]) == (1200, 500)
    assert chart.png(a_week(), theme="dark") != first


def test_the_files_are_written_and_replaced(tmp_path: Path) -> None:
    """Three files named by the week; a second time gives the same three, byte for byte."""
    folder = tmp_path / "new" / "folder"
    paths = write(a_week(), folder)
    before = [path.read_bytes() for path in paths]
    assert write(a_week(), folder) == paths
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in folder.iterdir()) == [
        "bursar-2026-W47.html",
        "bursar-2026-W47.md",
        "bursar-2026-W47.png",
    ]
    assert "(bursar-2026-W47.png)" in paths.markdown.read_text()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file stands where the folder should be: what, where and what to do."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageFailed, match="taken"):
        write(a_week(), tmp_path / "taken")


def test_a_week_that_is_a_path_is_refused(tmp_path: Path) -> None:
    """The file name is made from the week, so only a week is let through."""
    with pytest.raises(BadInput):
        write(a_week().model_copy(update={"week": "../../escape"}), tmp_path)
    assert list(tmp_path.iterdir()) == []
