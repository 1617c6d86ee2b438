"""The one exception that stands for something a user did."""

from os.path import exists  # of what can be no path it says no, where pathlib raises


class UserError(Exception):
    """A mistake a user can mend; its text is one line: what is wrong, where, what to do."""

    def __init__(self, message: str) -> None:
        """Fold `message` into one line."""
        super().__init__(" ".join(message.split()))


def not_loaded(where: str, name: str, error: Exception) -> UserError:
    """Return what to say of a folder or a name on the hub that a library did not load.

    Args:
        where: the key of the configuration that names it.
        name: the folder or the name.
        error: of the library; of its text the first line is kept.

    """
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    absent = "" if exists(name) else "no such folder; on the hub: "
    return UserError(f"{where}: {name}: {absent}cannot be loaded: {reason}")
