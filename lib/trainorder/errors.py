"""Errors that a user can fix."""

from os.path import exists  # returns False for a name that cannot be a path; pathlib raises


class UserError(Exception):
    """A mistake that the user can fix; its text is one line: what is wrong, where, what to do."""

    def __init__(self, message: str) -> None:
        """Fold `message` into one line."""
        super().__init__(" ".join(message.split()))


class DivergedError(UserError):
    """A training whose loss, gradients or parameters are not finite."""


def not_loaded(where: str, name: str, error: Exception) -> UserError:
    """Return the error for a folder or a hub name that a library could not load.

    Args:
        where: the configuration key that names it.
        name: the folder or the name.
        error: raised by the library; the first line of its text is kept.

    """
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    absent = "" if exists(name) else "no such folder; on the hub: "
    return UserError(f"{where}: {name}: {absent}cannot be loaded: {reason}")
