"""Errors of the database."""


class StorageUnavailable(Exception):  # noqa: N818 -- reads as the claim it makes
    """The database could not be reached or did not commit; nothing is half written. Try again."""


class StatementFailed(Exception):  # noqa: N818 -- reads as the claim it makes
    """The database rejected one of our statements; nothing was written. A bug in this program."""


class Conflict(Exception):  # noqa: N818 -- reads as the claim it makes
    """Another transaction changed data that this one had read; nothing was written. Try again."""


class TooSlow(Exception):  # noqa: N818 -- reads as the claim it makes
    """A query took longer than its deadline and was cancelled. A narrower query may succeed."""
