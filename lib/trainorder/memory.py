"""How much memory the vectors of this process may take, and how much of it is left."""

DEFAULT_BYTES = 4 * 10**9
VECTORS_HELD = 6  # of parameters that a job holds beside these at most: tests/test_memory.py


class _Memory:
    left = DEFAULT_BYTES


def hold_at_most(size: float) -> None:
    """Let vectors, of which the process holds none yet, take `size` bytes."""
    _Memory.left = int(size)


def take(size: int) -> bool:
    """Take `size` bytes, and return whether there were as many left."""
    if size > _Memory.left:
        return False
    _Memory.left -= size
    return True


def give_back(size: int) -> None:
    """Give back what was taken."""
    _Memory.left += size
