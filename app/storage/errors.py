"""What can go wrong with what we remember?"""


class StorageUnavailable(Exception):  # noqa: N818 -- reads as the claim it makes
    """The database did not take or give what was asked; nothing was half written. Try again."""


class StatementFailed(Exception):  # noqa: N818 -- reads as the claim it makes
    """The database refused a statement of ours; nothing was written. A fault in this program."""


class Conflict(Exception):  # noqa: N818 -- reads as the claim it makes
    """Another transaction changed what this one had read; nothing was changed. Try again."""


class TooSlow(Exception):  # noqa: N818 -- reads as the claim it makes
    """A query by people took longer than it may, and was ended. A narrower one may do."""
