"""What can go wrong with Slack, by what is to be done about it."""

from store.errors import BursarError


class SlackAway(BursarError):
    """No answer, a rate limit, a fault of Slack's, or our token is refused: the same call again, later."""

    def __init__(self, says: str, *, retry_after: float | None = None) -> None:
        super().__init__(says)
        self.retry_after = retry_after
        """Seconds; None: Slack did not say."""


class SlackRefused(BursarError):
    """Slack understood and said no; the same call again would get the same answer. `code` as Slack names it."""

    def __init__(self, says: str, *, code: str) -> None:
        super().__init__(says)
        self.code = code
