"""The one exception that stands for something a user did."""


class UserError(Exception):
    """A mistake a user can mend; its text is one line: what is wrong, where, what to do."""

    def __init__(self, message: str) -> None:
        """Fold `message` into one line."""
        super().__init__(" ".join(message.split()))
