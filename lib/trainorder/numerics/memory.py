"""How much memory the vectors of this process may take, and how much of it is left."""

DEFAULT_GB = 4.0
VECTORS_HELD = 6  # of parameters that a job holds beside these at most: tests/test_memory.py


class _Memory:
    most = int(DEFAULT_GB * 1e9)
    left = most  # may be negative, of a process that was allowed more before


def hold_at_most(gigabytes: float) -> None:
    """Let vectors, those that the process holds already among them, take that much."""
    most = int(gigabytes * 1e9)
    _Memory.left += most - _Memory.most
    _Memory.most = most


def take(size: int) -> bool:
    """Take `size` bytes, and return whether there were as many left."""
    if size > _Memory.left:
        return False
    _Memory.left -= size
    return True


def give_back(size: int) -> None:
    """Give back what was taken."""
    _Memory.left += size
