"""What is asked of a code host, GitHub or GitLab."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from store.model.remedy import ActionKind


class Ended(NamedTuple):
    """How a pull request or an issue ended: `up` is merged, or closed as done."""

    up: bool
    at: datetime


class Ticket(NamedTuple):
    """A pull request or an issue; `ended` is None while it is open."""

    number: int
    title: str
    body: str
    ended: Ended | None

    @property
    def open(self) -> bool:
        """Whether people can still take it up."""
        return self.ended is None


class CodeHost(Protocol):
    """What is asked of GitHub or GitLab. Every method may raise Refused or NoAnswer."""

    def requests(self, repository: str, branch: str) -> Iterator[Ticket]:
        """Pull requests from a branch in any state, newest first."""
        ...

    def issues(self, repository: str) -> Iterator[Ticket]:
        """Issues in any state, newest first."""
        ...

    def file(self, repository: str, path: str, branch: str) -> str | None:
        """A file's text on a branch; None where there is none."""
        ...

    def default_branch(self, repository: str) -> str:
        """The branch that a pull request goes into."""
        ...

    def make_branch(self, repository: str, branch: str, base: str) -> None:
        """Branch off; a branch that exists is left as it is."""
        ...

    def put_file(self, repository: str, path: str, branch: str, content: str, message: str) -> None:
        """Commit one file's new text to a branch."""
        ...

    def drop_branch(self, repository: str, branch: str) -> None:
        """Delete a branch; one that does not exist is fine."""
        ...

    def open_request(self, repository: str, branch: str, into: str, title: str, body: str) -> None:
        """Open a pull request."""
        ...

    def open_issue(self, repository: str, title: str, body: str) -> None:
        """Open an issue."""
        ...

    def edit(self, kind: ActionKind, repository: str, number: int, *, title: str, body: str, close: bool) -> None:
        """Set a pull request's or issue's title and description, and close it if asked."""
        ...

    def rights(self, repository: str) -> str | None:
        """What the token lacks there; None: nothing."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
