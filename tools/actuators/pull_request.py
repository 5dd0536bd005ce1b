"""Pull requests and issues at a code host: proposals to people, in the repositories and paths that are listed.

A change goes to a branch of its own, "bursar/...", never to the default branch; nothing takes effect until people
merge it. A marker in the description says whose it is, so a repeat finds it. Taken back means closed, as long as
nobody has edited or merged it. What people closed or merged is left alone, and not opened again during its lease;
when they did it is read, so that what a merge saves is measured from the merge on.
"""

from fnmatch import fnmatchcase
from typing import ClassVar

from store.model.ports import Capabilities, Clock, Preview, Probed, Taken, Unreadable
from store.model.remedy import Action, ActionKind, OpenIssue, OpenPullRequest, Settings
from tools.actuators.admin_api import Json, Refused
from tools.actuators.pull_request_host import CodeHost, Ticket
from tools.actuators.pull_request_text import (
    RETURNED,
    branch_of,
    harmless,
    kept_in,
    mark_in,
    marked,
    slot_of,
    without_mark,
)
from tools.actuators.slots import Mark, Slot, SlotGateway
from tools.http import NoAnswer

_DAY = 86_400
_LONGEST_TITLE, _LONGEST_BODY, _LONGEST_FILE = 250, 60_000, 500_000


class PullRequests(SlotGateway):
    """Pull requests and issues; people have `patience_days` to take one up, and it is measured from then on."""

    name = "pull_request"
    handles: ClassVar[frozenset[ActionKind]] = frozenset({"open_pull_request", "open_issue"})
    marks = True
    permissions = ("write access to contents, pull requests and issues of the listed repositories",)

    def __init__(
        self,
        host: CodeHost,
        *,
        repositories: tuple[str, ...],
        paths: tuple[str, ...],
        patience_days: int,
        clock: Clock,
    ) -> None:
        super().__init__(clock=clock, spread_seconds=0)
        self._host = host
        self._repositories = repositories
        self._paths = paths
        self._patience = patience_days * _DAY

    def capabilities(self) -> Capabilities:
        """Nothing changes until people merge."""
        return super().capabilities().model_copy(update={"patience_seconds": self._patience})

    def objection(self, action: Action) -> str | None:
        """Only listed repositories, only allowed files, and only what people can read."""
        if not isinstance(action, OpenPullRequest | OpenIssue):
            return f"{self.name} does not handle {action.kind}"
        if action.repository not in self._repositories:
            return f"{action.repository} is not one of pull_request.repositories"
        if not action.title.strip() or not action.title.isprintable() or len(action.title) > _LONGEST_TITLE:
            return f"a title is one line of at most {_LONGEST_TITLE} characters"
        if len(action.body) > _LONGEST_BODY:
            return f"a description has at most {_LONGEST_BODY:,} characters"
        if isinstance(action, OpenPullRequest):
            if not self._may_change(action.path):
                return f"{action.path} is not a path that pull_request.paths allows"
            if len(action.content) > _LONGEST_FILE:
                return f"a file has at most {_LONGEST_FILE:,} characters"
        return None

    def ping(self) -> str:
        """What the token may do in each repository."""
        for repository in self._repositories:
            try:
                lacks = self._host.rights(repository)
            except (Refused, NoAnswer) as error:
                return f"{repository}: {error}"
            if lacks is not None:
                return f"{repository}: {lacks}"
        what = f"pull requests for {', '.join(self._paths)}, and issues" if self._paths else "issues only (no paths)"
        return f"ok, may write to {', '.join(self._repositories)}; {what}"

    def close(self) -> None:
        """Close the connections."""
        self._host.close()

    def preview(self, action: Action) -> Preview:
        """Where it would stand, and its title; the text itself is shown with the plan."""
        return Preview(before=_shown(action.was), after=_shown(action.to))

    def probe(self, action: Action, *, marker: str) -> Probed:
        """Whether it is open, under our marker and as we wrote it, or people have answered it already."""
        try:
            held = self.observe(action)
        except Unreadable as error:
            return Probed(status="unsure", detail=str(error))
        if held.taken is not None and held.taken.remedy == marker:
            return Probed(status="yes", detail="people have answered it")
        if (held.value, held.marker) == (action.to, marker):
            return Probed(status="yes", detail="it is open")
        return Probed(status="no", detail="it is not there, or not as we wrote it")

    # --- inside ----------------------------------------------------------------------------------------------

    def _may_change(self, path: str) -> bool:
        parts = path.split("/")
        # Files that the host itself runs or obeys are never ours to change, whatever the globs say.
        safe = path.isprintable() and "\\" not in path and all(part not in ("", ".", "..") for part in parts)
        return (
            safe
            and not any(part.startswith(".git") for part in parts)
            and any(fnmatchcase(path, glob) for glob in self._paths)
        )

    def _read(self, action: Action) -> Slot:
        assert isinstance(action, OpenPullRequest | OpenIssue)
        ticket, kept = self._find(action)
        if ticket is None:
            return Slot({}, None)
        if ticket.ended is None:
            value = self._value(action, ticket)
            return Slot(value, mark_in(kept, value), {"number": ticket.number})
        mark = mark_in(kept, {})
        if mark is None:
            return Slot({}, None)
        taken = Taken(remedy=mark.remedy, up=ticket.ended.up, at=ticket.ended.at)
        return Slot({}, mark if self._clock() < mark.ends else None, {}, taken)

    def _find(self, action: OpenPullRequest | OpenIssue) -> tuple[Ticket | None, Json]:
        """The newest one of the slot with what its marker says; a taken back one has none and is passed over."""
        pulls = isinstance(action, OpenPullRequest)
        found = (
            self._host.requests(action.repository, branch_of(action)) if pulls else self._host.issues(action.repository)
        )
        for ticket in found:
            kept = kept_in(ticket.body)
            if kept.get("slot") == slot_of(action):
                return ticket, kept
        return None, {}

    def _value(self, action: OpenPullRequest | OpenIssue, ticket: Ticket) -> Settings:
        text = without_mark(ticket.body)
        same = text.strip() == harmless(action.body).strip()
        value: Settings = {
            "repository": action.repository,
            "title": ticket.title,
            "body": action.body if same else text,
        }
        if isinstance(action, OpenPullRequest):
            content = self._host.file(action.repository, action.path, branch_of(action))
            value = {**value, "path": action.path, "content": content}
        return value

    def _write(self, action: Action, value: Settings, mark: Mark | None, slot: Slot) -> None:
        del value  # the action says it all, and what was not there before is closed
        assert isinstance(action, OpenPullRequest | OpenIssue)
        number: int | None = slot.raw.get("number")
        if mark is None:
            assert number is not None, "only what is open is taken back"
            body = harmless(action.body) + RETURNED
            self._host.edit(action.kind, action.repository, number, title=action.title, body=body, close=True)
            if isinstance(action, OpenPullRequest):
                self._host.drop_branch(action.repository, branch_of(action))
            return
        if isinstance(action, OpenPullRequest):
            self._commit(action)
        body = harmless(action.body) + marked(action, mark)
        if number is not None:
            self._host.edit(action.kind, action.repository, number, title=action.title, body=body, close=False)
        elif isinstance(action, OpenIssue):
            self._host.open_issue(action.repository, action.title, body)
        else:
            into = self._host.default_branch(action.repository)
            self._host.open_request(action.repository, branch_of(action), into, action.title, body)

    def _commit(self, action: OpenPullRequest) -> None:
        branch, base = branch_of(action), self._host.default_branch(action.repository)
        if branch == base:
            raise Refused(0, f"{base} is the default branch: nothing is ever pushed there")
        self._host.make_branch(action.repository, branch, base)
        if self._host.file(action.repository, action.path, branch) != action.content:
            self._host.put_file(action.repository, action.path, branch, action.content, action.title)


def _shown(value: Settings) -> str:
    if not value:
        return "not there"
    where = f" ({value['path']})" if "path" in value else ""
    return f"{value.get('title')} in {value.get('repository')}{where}"
