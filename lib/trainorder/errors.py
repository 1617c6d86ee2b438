"""Errors that the user can fix."""

from os.path import exists  # returns False for a name that cannot be a path; pathlib raises

_CAUSE = 300  # characters of the text of a cause


class UserError(Exception):
    """An error that the user can fix.

    The text is one line: what is wrong and where, what was expected, and what to do.
    """

    def __init__(self, message: str) -> None:
        """Store `message`, folded into one line."""
        super().__init__(" ".join(message.split()))


class DivergedError(UserError):
    """Raised when the loss, gradients or parameters of a training run are not finite."""


def not_loaded(where: str, name: str, error: Exception) -> UserError:
    """Return the error for a local folder or a hub name that a library could not load.

    Args:
        where: the configuration key that holds `name`.
        name: the local folder or the name on the hub.
        error: the exception of the library. The message contains the first line of its text, and
            the beginning of the text of the exception that it was raised from.

    """
    text = str(error).strip() or type(error).__name__
    cause: BaseException = error
    while cause.__cause__ is not None:  # libraries raise general errors from those that tell why
        cause = cause.__cause__
    reason = text.splitlines()[0]
    if cause is not error and (why := " ".join(str(cause).split())[:_CAUSE]) not in reason:
        reason = f"{reason}: {why}"
    absent = "" if exists(name) else "no such folder; on the hub: "
    return UserError(f"{where}: {name}: {absent}cannot be loaded: {reason}")
