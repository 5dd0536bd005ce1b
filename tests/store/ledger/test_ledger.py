"""The shared checks over every engine that the ledger runs on."""

from pathlib import Path

import pytest

from tests.checks.check_ledger import LedgerChecks


class TestSqliteMemory(LedgerChecks):
    """A throw-away ledger, as backtests use it."""

    @pytest.fixture
    def ledger_url(self) -> str:
        return "sqlite://"


class TestSqliteFile(LedgerChecks):
    """The embedded default."""

    @pytest.fixture
    def ledger_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'ledger.db'}"


class TestPostgres(LedgerChecks):
    """The one for replicas."""

    @pytest.fixture
    def ledger_url(self, postgres_url: str) -> str:
        return postgres_url
