"""The summary as files: Markdown, HTML and PNG in one folder."""

from pathlib import Path
from typing import NamedTuple

from agent.report import chart, html, markdown
from agent.report.compose import view_of
from agent.report.week import monday_of
from store.errors import StorageFailed
from store.model.summary import WeeklySummary


class Paths(NamedTuple):
    """Where the three files are."""

    markdown: Path
    html: Path
    png: Path


def write(summary: WeeklySummary, folder: Path) -> Paths:
    """Write the summary as `bursar-WEEK.md`, `.html` and `.png`; files of the same week are replaced whole.

    Raises:
        BadInput: the summary's week does not exist.
        StorageFailed: the folder cannot be written; a file that stood there still stands.
    """
    monday_of(summary.week)
    view, light = view_of(summary), chart.png(summary)
    stem = folder / f"bursar-{summary.week}"
    paths = Paths(*(stem.with_name(f"{stem.name}{suffix}") for suffix in (".md", ".html", ".png")))
    page = html.render(view, light=light, dark=chart.png(summary, theme="dark"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(paths.png, light)
        _replace(paths.html, page.encode())
        _replace(paths.markdown, markdown.render(view, picture=paths.png.name).encode())
    except OSError as error:
        raise StorageFailed(
            f"cannot write the summary of {summary.week} to {folder}: {error}; free the disk or give another folder"
        ) from error
    return paths


def _replace(path: Path, content: bytes) -> None:
    half = path.with_name(f"{path.name}.part")
    half.write_bytes(content)
    half.replace(path)
