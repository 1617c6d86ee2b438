"""The memory budget of this process for large tensors, and how much of it is left."""

DEFAULT_GB = 4.0
VECTORS_HELD = 6  # parameter vectors that a job needs beyond the budget; see tests/numerics


class _Memory:
    """The budget in bytes, and what is left of it."""

    most = int(DEFAULT_GB * 1e9)
    left = most  # negative if the budget was lowered below what is in use


def hold_at_most(gigabytes: float) -> None:
    """Set the budget; it includes the tensors that the process already keeps."""
    most = int(gigabytes * 1e9)
    _Memory.left += most - _Memory.most
    _Memory.most = most


def take(size: int) -> bool:
    """Reserve `size` bytes and return True, or return False if fewer bytes are left."""
    if size > _Memory.left:
        return False
    _Memory.left -= size
    return True


def give_back(size: int) -> None:
    """Return `size` reserved bytes to the budget."""
    _Memory.left += size
