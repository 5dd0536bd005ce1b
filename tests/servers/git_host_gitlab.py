"""A stand-in for GitLab's REST API v4: the shapes and refusals that docs.gitlab.com publishes."""

import copy
from dataclasses import dataclass, field

from tests.servers.git_host import READER, REPOSITORY, TOKEN, Paper, Repository, decoded, encoded, page_of
from tests.servers.json_server import Json, Reply, Request

_STATES = {"open": "opened", "closed": "closed", "merged": "merged"}


@dataclass
class GitLabHost:
    """One project at GitLab."""

    repo: Repository = field(default_factory=Repository)

    def answer(self, request: Request) -> Reply:
        """Carry a request out; the project's path is one part of the URL, with its slash encoded."""
        token = request.headers.get("private-token", "")
        if token not in (TOKEN, READER):
            return Reply(401, {"message": "401 Unauthorized"})
        if request.path[:4] != ("api", "v4", "projects", REPOSITORY):
            return Reply(404, {"message": "404 Project Not Found"})
        if request.method != "GET" and token == READER:
            return self.refusal(request)
        return self._project(request.method, request.path[4:], request.query, request.body, token)

    def refusal(self, request: Request) -> Reply:
        """What a token without the permission is told."""
        del request
        return Reply(403, {"message": "403 Forbidden"})

    def pretended(self, request: Request) -> Reply:
        """Success, and nothing changes."""
        real = copy.deepcopy(self.repo)
        reply = self.answer(request)
        self.repo.branches, self.repo.papers = real.branches, real.papers
        return reply

    def _project(self, method: str, path: tuple[str, ...], query: dict[str, str], body: Json, token: str) -> Reply:  # noqa: C901 # one case an endpoint
        match method, path:
            case "GET", ():
                level = {"access_level": 40 if token == TOKEN else 20, "notification_level": 3}
                may = {"project_access": level, "group_access": None}
                return Reply(200, {"path_with_namespace": REPOSITORY, "default_branch": "main", "permissions": may})
            case _, ("repository", "branches", *branch):
                return self._branches(method, branch, body)
            case "GET", ("repository", "files", file):
                commit = self.repo.branches.get(query["ref"])
                if commit is None or file not in commit.files:
                    return Reply(404, {"message": "404 File Not Found"})
                text = encoded(commit.files[file]).replace("\n", "")
                return Reply(200, {"file_path": file, "ref": query["ref"], "encoding": "base64", "content": text})
            case "POST" | "PUT", ("repository", "files", file):
                return self._put(method, file, body)
            case "GET", ("merge_requests" | "issues" as what,):
                assert query["state"] == "all"
                assert query["sort"] == "desc"
                wanted = query.get("source_branch")
                papers = self.repo.newest(requests=what == "merge_requests")
                found, more = page_of([p for p in papers if wanted in (None, p.branch)], query)
                return Reply(200, [_paper(p) for p in found], {"x-next-page": "2" if more else ""})
            case "POST", ("merge_requests",):
                return self._open(body)
            case "POST", ("issues",):
                return Reply(201, _paper(self.repo.write(body["title"], body["description"])))
            case "PUT", ("merge_requests" | "issues" as what, number):
                paper = next((p for p in self.repo.papers if p.number == int(number)), None)
                if paper is None or (paper.branch is None) == (what == "merge_requests"):
                    return Reply(404, {"message": "404 Not found"})
                paper.title, paper.body = body.get("title", paper.title), body.get("description", paper.body)
                paper.state = "closed" if body.get("state_event") == "close" else paper.state
                return Reply(200, _paper(paper))
            case _:
                return Reply(404, {"error": "404 Not Found"})

    def _branches(self, method: str, branch: list[str], body: Json) -> Reply:
        if method == "POST":
            if body["branch"] in self.repo.branches:
                return Reply(400, {"message": "Branch already exists"})
            if body["ref"] not in self.repo.branches:
                return Reply(400, {"message": "Invalid reference name"})
            self.repo.branches[body["branch"]] = copy.deepcopy(self.repo.branches[body["ref"]])
            return Reply(201, {"name": body["branch"], "default": False})
        [name] = branch
        if name not in self.repo.branches:
            return Reply(404, {"message": "404 Branch Not Found"})
        if method == "DELETE":
            del self.repo.branches[name]
            return Reply(204, None)
        return Reply(200, {"name": name, "default": name == "main"})

    def _put(self, method: str, file: str, body: Json) -> Reply:
        commit = self.repo.branches.get(body["branch"])
        if commit is None:
            return Reply(400, {"message": "You can only create or edit files when you are on a branch"})
        if (file in commit.files) == (method == "POST"):
            there = method == "POST"
            says = "A file with this name already exists" if there else "A file with this name doesn't exist"
            return Reply(400, {"message": says})
        self.repo.commit(body["branch"], file, decoded(body), body["commit_message"])
        return Reply(201 if method == "POST" else 200, {"file_path": file, "branch": body["branch"]})

    def _open(self, body: Json) -> Reply:
        branch, into = body["source_branch"], body["target_branch"]
        if branch not in self.repo.branches or into not in self.repo.branches:
            return Reply(400, {"message": "source_branch does not exist"})
        if any(p.branch == branch and p.state == "open" for p in self.repo.papers):
            return Reply(409, {"message": ["Another open merge request already exists for this source branch: !1"]})
        return Reply(201, _paper(self.repo.write(body["title"], body["description"], branch=branch, into=into)))


def _paper(paper: Paper) -> Json:
    text = {"title": paper.title, "description": paper.body or None}
    closed_at = paper.ended_at if paper.state == "closed" else None
    found = {"iid": paper.number, "state": _STATES[paper.state], **text, "closed_at": closed_at}
    if paper.branch is None:
        return found
    merged_at = paper.ended_at if paper.state == "merged" else None
    return {**found, "source_branch": paper.branch, "target_branch": paper.into, "merged_at": merged_at}
