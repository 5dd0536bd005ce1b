"""GitHub's REST API (2022-11-28): branches, contents, pull requests, issues."""

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


class GitHub:
    """One GitHub, seen with one token."""

    def __init__(self, url: str, token: str) -> None:
        self._api = AdminApi(
            url,
            headers={
                "authorization": f"Bearer {token}",
                "accept": "application/vnd.github+json",
                "x-github-api-version": "2022-11-28",
            },
        )

    def requests(self, repository: str, branch: str) -> Iterator[Ticket]:
        """Pull requests from a branch in any state, newest first."""
        head = f"{repository.split('/', maxsplit=1)[0]}:{branch}"
        found = self._api.get(f"{_at(repository)}/pulls", head=head, state="all", per_page=_PAGE)
        yield from map(_ticket, a_list(found, "GET pulls"))

    def issues(self, repository: str) -> Iterator[Ticket]:
        """Issues in any state, newest first; pull requests, which GitHub lists among them, left out."""
        for page in range(1, _MOST_PAGES + 1):
            path = f"{_at(repository)}/issues"
            asked: dict[str, str | int] = {"state": "all", "sort": "created", "direction": "desc"}
            found, answer = self._api.answer("GET", path, params=asked | {"per_page": _PAGE, "page": page})
            yield from (_ticket(one) for one in a_list(found, "GET issues") if "pull_request" not in one)
            if 'rel="next"' not in answer.headers.get("link", ""):
                return
        raise NoAnswer(f"{repository}: none of the newest {_MOST_PAGES * _PAGE:,} issues is ours")

    def file(self, repository: str, path: str, branch: str) -> str | None:
        """A file's text on a branch; None where there is none."""
        found = self._content(repository, path, branch)
        return None if found is None else _text(found)

    def default_branch(self, repository: str) -> str:
        """The branch that a pull request goes into."""
        return str(an_object(self._api.get(_at(repository)), "GET repository").get("default_branch"))

    def make_branch(self, repository: str, branch: str, base: str) -> None:
        """Branch off; a branch that exists is left as it is."""
        refs = f"{_at(repository)}/git"
        try:
            self._api.get(f"{refs}/ref/heads/{quote(branch)}")
        except Refused as error:
            if error.status != 404:
                raise
            found = an_object(self._api.get(f"{refs}/ref/heads/{quote(base)}"), "GET ref")
            sha = an_object(found.get("object"), "GET ref").get("sha")
            self._api.send("POST", f"{refs}/refs", {"ref": f"refs/heads/{branch}", "sha": sha})

    def put_file(self, repository: str, path: str, branch: str, content: str, message: str) -> None:
        """Commit one file's new text to a branch; GitHub refuses if the file moved since it was read."""
        held = self._content(repository, path, branch)
        body = {"message": message, "branch": branch, "content": base64.b64encode(content.encode()).decode()}
        if held is not None:
            body["sha"] = str(held.get("sha"))
        self._api.send("PUT", f"{_at(repository)}/contents/{quote(path)}", body)

    def drop_branch(self, repository: str, branch: str) -> None:
        """Delete a branch; one that does not exist is fine."""
        try:
            self._api.send("DELETE", f"{_at(repository)}/git/refs/heads/{quote(branch)}")
        except Refused as error:
            if error.status not in (404, 422):
                raise

    def open_request(self, repository: str, branch: str, into: str, title: str, body: str) -> None:
        """Open a pull request."""
        made = self._api.send(
            "POST", f"{_at(repository)}/pulls", {"title": title, "head": branch, "base": into, "body": body}
        )
        _ticket(an_object(made, "POST pulls"))

    def open_issue(self, repository: str, title: str, body: str) -> None:
        """Open an issue."""
        made = self._api.send("POST", f"{_at(repository)}/issues", {"title": title, "body": body})
        _ticket(an_object(made, "POST issues"))

    def edit(self, kind: ActionKind, repository: str, number: int, *, title: str, body: str, close: bool) -> None:
        """Set a pull request's or issue's title and description, and close it if asked."""
        what = "pulls" if kind == "open_pull_request" else "issues"
        change = {"title": title, "body": body} | ({"state": "closed"} if close else {})
        made = self._api.send("PATCH", f"{_at(repository)}/{what}/{number}", change)
        _ticket(an_object(made, f"PATCH {what}"))

    def rights(self, repository: str) -> str | None:
        """What the token lacks there; None: nothing."""
        found = an_object(self._api.get(_at(repository)), "GET repository")
        may = found.get("permissions")
        return None if isinstance(may, dict) and may.get("push") is True else "the token may read and not write"

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _content(self, repository: str, path: str, branch: str) -> Json | None:
        try:
            found = self._api.get(f"{_at(repository)}/contents/{quote(path)}", ref=branch)
        except Refused as error:
            if error.status == 404:
                return None
            raise
        if not isinstance(found, dict) or found.get("type") != "file":
            raise Refused(0, f"{path} is not a file")
        return found


def _at(repository: str) -> str:
    return f"/repos/{quote(repository)}"


def _text(found: Json) -> str:
    try:
        return base64.b64decode(str(found["content"])).decode()
    except (KeyError, ValueError) as error:
        raise Refused(0, "the file that is there is no text") from error


def _ticket(found: Json) -> Ticket:
    try:
        return Ticket(int(found["number"]), str(found["title"]), str(found["body"] or ""), _ended(found))
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer("GitHub's answer is not of the published shape") from error


def _ended(found: Json) -> Ended | None:
    """Of issues only GitHub says why they were closed; "not_planned" and "duplicate" are a no."""
    if found["state"] == "open":
        return None
    if found.get("merged_at") is not None:
        return Ended(True, when(found["merged_at"]))
    is_issue = "head" not in found
    return Ended(is_issue and found.get("state_reason") in (None, "completed"), when(found["closed_at"]))
