"""The Slack side of a service in a process of its own: `python -m ... LEDGER_URL BASE_URL OWNER`, until stdin ends."""

import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from agent.entrypoints.inbox import SlackDesk
from agent.policy import Policy
from store.ledger.ledger import open_ledger
from tests.servers.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, TEAM
from tools.slack.settings import SlackSettings

PEOPLE = {f"{TEAM}/U0P{number}": f"p{number}" for number in range(50)}


def now() -> datetime:
    return datetime.now(UTC)


def slack_settings(base_url: str) -> SlackSettings:
    return SlackSettings(
        bot_token=SecretStr(BOT_TOKEN),
        app_token=SecretStr(APP_TOKEN),
        channel=CHANNEL,
        people=PEOPLE,
        base_url=base_url,
    )


def main(ledger_url: str, base_url: str, owner: str) -> None:
    ledger = open_ledger(ledger_url, clock=now)
    desk = SlackDesk(
        settings=slack_settings(base_url),
        policy=Policy(),
        ledger=ledger,
        clock=now,
        owner=owner,
        zone=ZoneInfo("UTC"),
        wake=lambda: None,
        idle_seconds=0.05,
    )
    desk.start()
    sys.stdin.read()
    desk.close()
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
