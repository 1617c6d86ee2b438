"""The memory budget of this process for large tensors."""

DEFAULT_GB = 4.0
VECTORS_HELD = 6  # parameter vectors in memory beyond the budget; tests/numerics checks it


class _Memory:
    """The budget and the unreserved part of it, in bytes."""

    most = int(DEFAULT_GB * 1e9)
    left = most  # negative if the budget was lowered below what is in use


def hold_at_most(gigabytes: float) -> None:
    """Set the budget in GB (1e9 bytes); tensors that are already in memory count towards it."""
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
