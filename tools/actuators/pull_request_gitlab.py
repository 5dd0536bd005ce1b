"""GitLab's REST API (v4): branches, repository files, merge requests, issues."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

from store.model.remedy import ActionKind
from tools.actuators.admin_api import AdminApi, Json, Refused, a_list, an_object
from tools.actuators.pull_request_host import Ended, Ticket
from tools.actuators.slots import when
from tools.http import NoAnswer

_PAGE = 100
_MOST_PAGES = 10
_DEVELOPER = 30
"""The access level that may push branches and open merge requests."""


class GitLab:
    """One GitLab, seen with one token; its address ends with /api/v4."""

    def __init__(self, url: str, token: str) -> None:
        self._api = AdminApi(url, headers={"private-token": token})

    def requests(self, repository: str, branch: str) -> Iterator[Ticket]:
        """Merge requests from a branch in any state, newest first."""
        yield from self._pages(f"{_at(repository)}/merge_requests", source_branch=branch, state="all")

    def issues(self, repository: str) -> Iterator[Ticket]:
        """Issues in any state, newest first."""
        yield from self._pages(f"{_at(repository)}/issues", state="all")

    def file(self, repository: str, path: str, branch: str) -> str | None:
        """A file's text on a branch; None where there is none."""
        try:
            found = an_object(self._api.get(_file(repository, path), ref=branch), "GET file")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        try:
            return base64.b64decode(str(found["content"])).decode()
        except (KeyError, ValueError) as error:
            raise Refused(0, "the file that is there is no text") from error

    def default_branch(self, repository: str) -> str:
        """The branch that a merge request goes into."""
        return str(an_object(self._api.get(_at(repository)), "GET project").get("default_branch"))

    def make_branch(self, repository: str, branch: str, base: str) -> None:
        """Branch off; a branch that exists is left as it is."""
        branches = f"{_at(repository)}/repository/branches"
        try:
            self._api.get(f"{branches}/{quote(branch, safe='')}")
        except Refused as error:
            if error.status != 404:
                raise
            self._api.send("POST", branches, {"branch": branch, "ref": base})

    def put_file(self, repository: str, path: str, branch: str, content: str, message: str) -> None:
        """Commit one file's new text to a branch."""
        exists = self.file(repository, path, branch) is not None
        encoded = base64.b64encode(content.encode()).decode()
        body = {"branch": branch, "content": encoded, "encoding": "base64", "commit_message": message}
        self._api.send("PUT" if exists else "POST", _file(repository, path), body)

    def drop_branch(self, repository: str, branch: str) -> None:
        """Delete a branch; one that does not exist is fine."""
        try:
            self._api.send("DELETE", f"{_at(repository)}/repository/branches/{quote(branch, safe='')}")
        except Refused as error:
            if error.status != 404:
                raise

    def open_request(self, repository: str, branch: str, into: str, title: str, body: str) -> None:
        """Open a merge request."""
        ask = {"source_branch": branch, "target_branch": into, "title": title, "description": body}
        _ticket(an_object(self._api.send("POST", f"{_at(repository)}/merge_requests", ask), "POST merge_requests"))

    def open_issue(self, repository: str, title: str, body: str) -> None:
        """Open an issue."""
        ask = {"title": title, "description": body}
        _ticket(an_object(self._api.send("POST", f"{_at(repository)}/issues", ask), "POST issues"))

    def edit(self, kind: ActionKind, repository: str, number: int, *, title: str, body: str, close: bool) -> None:
        """Set a merge request's or issue's title and description, and close it if asked."""
        what = "merge_requests" if kind == "open_pull_request" else "issues"
        change = {"title": title, "description": body} | ({"state_event": "close"} if close else {})
        _ticket(an_object(self._api.send("PUT", f"{_at(repository)}/{what}/{number}", change), f"PUT {what}"))

    def rights(self, repository: str) -> str | None:
        """What the token lacks there; None: nothing."""
        found = an_object(self._api.get(_at(repository)), "GET project")
        given = an_object(found.get("permissions") or {}, "GET project")
        levels = [access.get("access_level", 0) for access in given.values() if isinstance(access, dict)]
        return (
            None if max(levels, default=0) >= _DEVELOPER else "the token may read and not write (Developer is needed)"
        )

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _pages(self, path: str, **asked: str) -> Iterator[Ticket]:
        for page in range(1, _MOST_PAGES + 1):
            params: dict[str, str | int] = {**asked, "order_by": "created_at", "sort": "desc"}
            found, answer = self._api.answer("GET", path, params=params | {"per_page": _PAGE, "page": page})
            yield from map(_ticket, a_list(found, f"GET {path}"))
            if not answer.headers.get("x-next-page"):
                return
        raise NoAnswer(f"{path}: none of the newest {_MOST_PAGES * _PAGE:,} is ours")


def _at(repository: str) -> str:
    return f"/projects/{quote(repository, safe='')}"


def _file(repository: str, path: str) -> str:
    return f"{_at(repository)}/repository/files/{quote(path, safe='')}"


def _ticket(found: Json) -> Ticket:
    try:
        return Ticket(int(found["iid"]), str(found["title"]), str(found["description"] or ""), _ended(found))
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer("GitLab's answer is not of the published shape") from error


def _ended(found: Json) -> Ended | None:
    """GitLab does not say why an issue was closed: it is taken for done, and measuring tells whether it was."""
    match found["state"]:
        case "opened" | "locked":  # locked: a merge is under way
            return None
        case "merged":
            return Ended(True, when(found["merged_at"]))
        case _:
            return Ended("source_branch" not in found, when(found["closed_at"]))
