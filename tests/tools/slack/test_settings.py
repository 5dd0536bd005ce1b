"""The operator's `slack:` part."""

import pytest
from pydantic import ValidationError

from tools.slack.settings import SlackSettings

GOOD = {"bot_token": "xoxb-1", "app_token": "xapp-1", "channel": "C0123"}


def test_nobody_may_decide_unless_listed() -> None:
    """The default is an empty list; tokens are never shown."""
    settings = SlackSettings.model_validate(GOOD)
    assert settings.people == {}
    assert "xoxb" not in repr(settings)


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "#finops"},
        {"people": {"U0456": "ann"}},
        {"people": {"T0123/ann": "ann"}},
        {"channels": {"#search": "search"}},
        {"base_url": "http://slack.example/api/"},
        {"base_url": "https://slack.example/api"},
        {"base_url": "ftp://127.0.0.1/"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(change: dict[str, object]) -> None:
    """Names where Slack needs ids, and addresses that would show a token."""
    with pytest.raises(ValidationError):
        SlackSettings.model_validate({**GOOD, **change})


@pytest.mark.parametrize("url", ["https://slack.com/api/", "https://slack-gov.com/api/", "http://127.0.0.1:80/api/"])
def test_addresses_that_keep_a_secret(url: str) -> None:
    """TLS, or this machine."""
    assert SlackSettings.model_validate({**GOOD, "base_url": url}).base_url == url
