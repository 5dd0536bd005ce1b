"""What an admin API's answer means: yes, no, or nobody knows. Only a clear no says that nothing was changed."""

from collections.abc import Iterator

import pytest

from tests.servers.json_server import JsonServer, Reply, Request
from tools.actuators.admin_api import AdminApi, Refused, a_list, an_object
from tools.http import NoAnswer

SECRET = "sk-the-operators-secret"


class Echo:
    """Says what it was asked."""

    def answer(self, request: Request) -> Reply:
        """The request's own body."""
        return Reply(200, {"method": request.method, "query": request.query, "body": request.body})

    def refusal(self, request: Request) -> Reply:
        """No."""
        return Reply(403, {"error": {"message": f"no {request.method} here"}})

    pretended = answer


@pytest.fixture
def server() -> Iterator[JsonServer]:
    found = JsonServer(Echo())
    yield found
    found.close()


def api_of(server: JsonServer, **limits: float) -> AdminApi:
    seconds, most = limits.get("seconds", 5.0), int(limits.get("most_bytes", 10_000))
    return AdminApi(server.url, headers={"authorization": SECRET}, seconds=seconds, most_bytes=most)


def test_it_sends_json_and_reads_json(server: JsonServer) -> None:
    """Parameters and body arrive as they are."""
    api = api_of(server)
    assert api.get("/x", size=2) == {"method": "GET", "query": {"size": "2"}, "body": None}
    assert api.send("PATCH", "/x", {"a": None}) == {"method": "PATCH", "query": {}, "body": {"a": None}}
    server.write_faults.append(Reply(204, None))
    assert api.send("DELETE", "/x") == {}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 415, 422])
def test_a_no_is_a_no(server: JsonServer, status: int) -> None:
    """With what the API says about it, on one line, and without the secret."""
    server.write_faults.append(Reply(status, {"error": {"message": "not\nyours"}}))
    with pytest.raises(Refused, match="not yours") as caught:
        api_of(server).send("POST", "/x", {})
    assert caught.value.status == status
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(408, {}),
        Reply(425, {}),
        Reply(429, {"error": {"message": "slow down"}}),
        Reply(500, {}),
        Reply(502, "<html>"),
        Reply(503, {}),
        Reply(301, {}, {"location": "http://127.0.0.1:9/"}),
        Reply(200, "<html>proxy login</html>"),
        Reply(200, "[" * 5000),
        Reply(200, "x" * 20_000),
        Reply(403, {"message": "secondary rate limit"}, {"retry-after": "60"}),
        "lost_request",
        "lost_answer",
    ],
    ids=str,
)
def test_anything_else_leaves_it_open(server: JsonServer, answer: Reply | str) -> None:
    """Whether it was changed must be looked at; nothing is followed elsewhere."""
    server.write_faults.append(answer)
    with pytest.raises(NoAnswer) as caught:
        api_of(server).send("POST", "/x", {})
    assert SECRET not in str(caught.value)


def test_a_hung_api_is_given_up(server: JsonServer) -> None:
    """After its time, whether the change was made or not; a claim lasts far longer."""
    server.write_faults.append("hang")
    with pytest.raises(NoAnswer, match="Timeout"):
        api_of(server, seconds=0.2).send("POST", "/x", {})
    assert server.asked == [("POST", "/x")], "sent once"


def test_a_wrong_shape_is_no_answer() -> None:
    """Whoever answered is not who was asked."""
    no_objects: tuple[object, ...] = (None, 1, "x", [], [1])
    no_lists: tuple[object, ...] = (None, {}, "x", [1])
    for wrong in no_objects:
        with pytest.raises(NoAnswer, match="published shape"):
            an_object(wrong, "GET x")
    for wrong in no_lists:
        with pytest.raises(NoAnswer, match="published shape"):
            a_list(wrong, "GET x")
