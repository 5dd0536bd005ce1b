"""What every part of the ledger's class has: the database."""

from store.ledger.database import Database


class Part:
    """A group of the ledger's methods by topic; every public method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database
