"""What stand-ins of GitHub and GitLab have in common: one repository with branches, files, requests and issues."""

import base64
import hashlib
from dataclasses import dataclass, field

from tests.servers.json_server import Json

TOKEN, READER = "token-that-may-write", "token-that-may-read"
REPOSITORY = "acme/indexer"


@dataclass
class Commit:
    """A branch's head: its files, and who pushed it with which message."""

    files: dict[str, str]
    message: str = "first"
    sha: str = "0" * 40


@dataclass
class Paper:
    """A pull request or issue. `state`: open, closed or merged; `ended_at`: since when it is not open."""

    number: int
    title: str
    body: str
    state: str = "open"
    branch: str | None = None
    into: str | None = None
    ended_at: str = "2026-11-02T10:00:00Z"
    reason: str | None = None
    """Why an issue was closed, where the host says so."""


@dataclass
class Repository:
    """One repository; `papers` are its requests and issues in the order of their making."""

    branches: dict[str, Commit] = field(
        default_factory=lambda: {"main": Commit({"prompts/a.md": "broken\n", "README.md": "hello\n"})}
    )
    papers: list[Paper] = field(default_factory=list)

    def commit(self, branch: str, path: str, content: str, message: str) -> None:
        """Put one file's new text on a branch."""
        files = {**self.branches[branch].files, path: content}
        sha = hashlib.sha1(repr((sorted(files.items()), message)).encode(), usedforsecurity=False).hexdigest()
        self.branches[branch] = Commit(files, message, sha)

    def write(self, title: str, body: str, *, branch: str | None = None, into: str | None = None) -> Paper:
        """A new request or issue."""
        self.papers.append(Paper(len(self.papers) + 1, title, body, "open", branch, into))
        return self.papers[-1]

    def newest(self, *, requests: bool) -> list[Paper]:
        """Requests or issues, newest first."""
        return [paper for paper in reversed(self.papers) if (paper.branch is not None) == requests]

    def close(self, paper: Paper, at: str, *, reason: str | None = None) -> None:
        """What a person does who does not like it, or has done what an issue asks for."""
        paper.state, paper.ended_at, paper.reason = "closed", at, reason

    def merge(self, paper: Paper, at: str = "2026-11-02T10:00:00Z") -> None:
        """What a person does who likes it."""
        assert paper.branch is not None
        assert paper.into is not None
        self.branches[paper.into] = self.branches[paper.branch]
        paper.state, paper.ended_at = "merged", at


def encoded(text: str) -> str:
    """Base64 with line breaks, as GitHub writes it."""
    return base64.encodebytes(text.encode()).decode()


def decoded(body: Json) -> str:
    """The text of a body's content."""
    return base64.b64decode(str(body["content"])).decode()


def blob(text: str) -> str:
    """Git's own digest of a file."""
    return hashlib.sha1(f"blob {len(text.encode())}\0{text}".encode(), usedforsecurity=False).hexdigest()


def page_of(papers: list[Paper], query: dict[str, str]) -> tuple[list[Paper], bool]:
    """One page, and whether another follows."""
    size, page = min(100, int(query.get("per_page", "30"))), int(query.get("page", "1"))
    return papers[(page - 1) * size : page * size], len(papers) > page * size
