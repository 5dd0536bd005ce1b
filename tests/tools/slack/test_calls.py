"""What each failure of a call means."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from tests.servers.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, SlackStandIn
from tools.slack.blocks import note_message
from tools.slack.calls import open_client, ping
from tools.slack.errors import SlackAway, SlackRefused
from tools.slack.settings import SlackSettings
from tools.slack.threads import SlackThreads

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn(clock=NOW.timestamp) as opened:
        yield opened


def _settings(slack: SlackStandIn, token: str = BOT_TOKEN) -> SlackSettings:
    return SlackSettings(
        bot_token=SecretStr(token), app_token=SecretStr(APP_TOKEN), channel=CHANNEL, base_url=slack.base_url
    )


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"kind": "http", "status": 429, "retry_after": 7}, 7.0),
        ({"kind": "http", "status": 429, "retry_after": 10**6}, 3600.0),
        ({"kind": "http", "status": 429}, 30.0),
        ({"kind": "error", "code": "ratelimited"}, 30.0),
        ({"kind": "error", "code": "token_revoked"}, 300.0),
        ({"kind": "error", "code": "fatal_error"}, None),
        ({"kind": "http", "status": 502}, None),
        ({"kind": "cut"}, None),
        ({"kind": "garbage"}, None),
    ],
    ids=str,
)
def test_what_may_pass_says_how_long(slack: SlackStandIn, fault: dict[str, Any], seconds: float | None) -> None:
    """One call, no retry of the client's own, and the token in no message."""
    slack.fail(**fault)
    with pytest.raises(SlackAway) as away:
        SlackThreads(open_client(_settings(slack))).account("U0ANN")
    assert away.value.retry_after == seconds
    assert slack.called("users.info") == 1
    assert BOT_TOKEN not in str(away.value)


def test_what_will_not_pass_has_a_code(slack: SlackStandIn) -> None:
    """The channel is not there."""
    with pytest.raises(SlackRefused) as refused:
        SlackThreads(open_client(_settings(slack))).answer("C0NOWHERE", "U0ANN", "hello")
    assert refused.value.code == "channel_not_found"


def test_a_ping_says_who_we_are_or_what_is_wrong(slack: SlackStandIn) -> None:
    """For `bursar check --online`."""
    assert ping(_settings(slack)) == "ok, @bursar in Acme"
    assert "invalid_auth" in ping(_settings(slack, "xoxb-wrong"))


def test_a_name_is_found_on_a_later_page(slack: SlackStandIn) -> None:
    """The channel went on: our message is behind three hundred others, some of them ours."""
    threads = SlackThreads(open_client(_settings(slack)))
    since = NOW - timedelta(hours=1)
    place = threads.post(CHANNEL, note_message("first"), name="incident:inc-1", since=since)
    other = slack.messages[CHANNEL][0]
    for number in range(300):
        slack.messages[CHANNEL].append({**other, "ts": f"{NOW.timestamp():.0f}.{900_000 + number}", "metadata": None})
    assert threads.find(CHANNEL, name="incident:inc-1", since=since) == place
    assert threads.find(CHANNEL, name="incident:inc-1", since=NOW + timedelta(hours=1)) is None
