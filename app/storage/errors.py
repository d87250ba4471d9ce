"""What can go wrong with what we remember?"""


class StorageUnavailable(Exception):  # noqa: N818 -- reads as the claim it makes
    """The database did not take or give what was asked; nothing was half written. Try again."""
