"""What can go wrong in the store, by meaning.

BursarError
├── BadInput        the operator gave something unusable: what, where, what to do (exit code 2)
├── Busy            another process holds the data directory or the database
└── StorageFailed   the disk or the database failed; nothing was half-written
"""


class BursarError(Exception):
    """Every error that Bursar raises on purpose; its text says what, where and what to do."""


class BadInput(BursarError):
    """The operator gave something unusable."""


class Busy(BursarError):
    """Another process holds what this one needs."""


class StorageFailed(BursarError):
    """The disk or the database failed; nothing was half-written."""
