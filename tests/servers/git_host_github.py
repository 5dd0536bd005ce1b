"""A stand-in for GitHub's REST API 2022-11-28: the shapes and refusals that docs.github.com publishes."""

import copy
from dataclasses import dataclass, field

from tests.servers.git_host import READER, REPOSITORY, TOKEN, Paper, Repository, blob, decoded, encoded, page_of
from tests.servers.json_server import Json, Reply, Request


@dataclass
class GitHubHost:
    """One repository at GitHub."""

    repo: Repository = field(default_factory=Repository)

    def answer(self, request: Request) -> Reply:
        """Carry a request out."""
        assert request.headers["accept"] == "application/vnd.github+json"
        assert request.headers["x-github-api-version"] == "2022-11-28"
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in (TOKEN, READER):
            return Reply(401, {"message": "Bad credentials", "status": "401"})
        if request.path[:3] != ("repos", *REPOSITORY.split("/")):
            return _not_found()  # GitHub does not tell a private repository from one that does not exist
        if request.method != "GET" and bearer == READER:
            return self.refusal(request)
        return self._repo(request.method, request.path[3:], request.query, request.body, bearer)

    def refusal(self, request: Request) -> Reply:
        """What a token without the permission is told."""
        del request
        return Reply(403, {"message": "Resource not accessible by personal access token", "status": "403"})

    def pretended(self, request: Request) -> Reply:
        """Success, and nothing changes."""
        real = copy.deepcopy(self.repo)
        reply = self.answer(request)
        self.repo.branches, self.repo.papers = real.branches, real.papers
        return reply

    def _repo(self, method: str, path: tuple[str, ...], query: dict[str, str], body: Json, bearer: str) -> Reply:  # noqa: C901 # one case an endpoint
        match method, path:
            case "GET", ():
                may = {"admin": False, "push": bearer == TOKEN, "pull": True}
                return Reply(200, {"full_name": REPOSITORY, "default_branch": "main", "permissions": may})
            case "GET", ("git", "ref", "heads", *branch):
                commit = self.repo.branches.get("/".join(branch))
                if commit is None:
                    return _not_found()
                ref = f"refs/heads/{'/'.join(branch)}"
                return Reply(200, {"ref": ref, "object": {"type": "commit", "sha": commit.sha}})
            case "POST", ("git", "refs"):
                return self._make_ref(body)
            case "DELETE", ("git", "refs", "heads", *branch):
                gone = self.repo.branches.pop("/".join(branch), None)
                return Reply(422, {"message": "Reference does not exist"}) if gone is None else Reply(204, None)
            case "GET", ("contents", *file):
                return self._content("/".join(file), query["ref"])
            case "PUT", ("contents", *file):
                return self._put("/".join(file), body)
            case "GET", ("pulls",):
                owner, _, head = query["head"].partition(":")
                mine = [p for p in self.repo.newest(requests=True) if p.branch == head and owner == "acme"]
                return Reply(200, [_pull(paper) for paper in mine])
            case "POST", ("pulls",):
                return self._open(body)
            case "GET", ("issues",):
                papers = list(reversed(self.repo.papers)) if query["direction"] == "desc" else self.repo.papers
                found, more = page_of(papers, query)
                link = {"link": '<https://api.github.com/...&page=2>; rel="next"'} if more else {}
                return Reply(200, [_issue(paper) for paper in found], link)
            case "POST", ("issues",):
                return Reply(201, _issue(self.repo.write(body["title"], body["body"])))
            case "PATCH", ("pulls" | "issues" as what, number):
                paper = next((p for p in self.repo.papers if p.number == int(number)), None)
                if paper is None or (paper.branch is None) == (what == "pulls"):
                    return _not_found()
                paper.title, paper.body = body.get("title", paper.title), body.get("body", paper.body)
                paper.state = body.get("state", paper.state)
                return Reply(200, (_pull if what == "pulls" else _issue)(paper))
            case _:
                return _not_found()

    def _make_ref(self, body: Json) -> Reply:
        name = body["ref"].removeprefix("refs/heads/")
        if not body["ref"].startswith("refs/heads/") or name in self.repo.branches:
            return Reply(422, {"message": "Reference already exists", "status": "422"})
        source = next((commit for commit in self.repo.branches.values() if commit.sha == body["sha"]), None)
        if source is None:
            return Reply(422, {"message": "Object does not exist", "status": "422"})
        self.repo.branches[name] = copy.deepcopy(source)
        return Reply(201, {"ref": body["ref"], "object": {"type": "commit", "sha": source.sha}})

    def _content(self, path: str, branch: str) -> Reply:
        commit = self.repo.branches.get(branch)
        if commit is None or path not in commit.files:
            return _not_found()
        text = commit.files[path]
        file = {"type": "file", "path": path, "sha": blob(text), "encoding": "base64", "content": encoded(text)}
        return Reply(200, file)

    def _put(self, path: str, body: Json) -> Reply:
        commit = self.repo.branches.get(body["branch"])
        if commit is None:
            return Reply(404, {"message": f"Branch {body['branch']} not found"})
        held = commit.files.get(path)
        if held is not None and "sha" not in body:
            return Reply(422, {"message": 'Invalid request.\n\n"sha" wasn\'t supplied.', "status": "422"})
        if held is not None and body["sha"] != blob(held):
            return Reply(409, {"message": f"{path} does not match {body['sha']}", "status": "409"})
        self.repo.commit(body["branch"], path, decoded(body), body["message"])
        return Reply(201 if held is None else 200, {"content": {"path": path}, "commit": {"message": body["message"]}})

    def _open(self, body: Json) -> Reply:
        problem = None
        if body["head"] not in self.repo.branches or body["base"] not in self.repo.branches:
            problem = {"resource": "PullRequest", "field": "head", "code": "invalid"}
        elif any(p.branch == body["head"] and p.state == "open" for p in self.repo.papers):
            problem = {
                "resource": "PullRequest",
                "code": "custom",
                "message": f"A pull request already exists for acme:{body['head']}.",
            }
        elif self.repo.branches[body["head"]].files == self.repo.branches[body["base"]].files:
            problem = {"resource": "PullRequest", "code": "custom", "message": "No commits between main and the head"}
        if problem is not None:
            return Reply(422, {"message": "Validation Failed", "errors": [problem], "status": "422"})
        return Reply(201, _pull(self.repo.write(body["title"], body["body"], branch=body["head"], into=body["base"])))


def _pull(paper: Paper) -> Json:
    assert paper.branch is not None
    merged_at = paper.ended_at if paper.state == "merged" else None
    ends = {"head": {"ref": paper.branch}, "base": {"ref": paper.into}, "merged_at": merged_at}
    return {**_common(paper), **ends}


def _issue(paper: Paper) -> Json:
    pull = {} if paper.branch is None else {"pull_request": {"url": f"https://api.github.com/pulls/{paper.number}"}}
    return {**_common(paper), "state_reason": paper.reason, **pull}


def _common(paper: Paper) -> Json:
    state = "open" if paper.state == "open" else "closed"
    closed_at = None if state == "open" else paper.ended_at
    text = {"title": paper.title, "body": paper.body or None}
    return {"number": paper.number, "state": state, **text, "closed_at": closed_at}


def _not_found() -> Reply:
    return Reply(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})
