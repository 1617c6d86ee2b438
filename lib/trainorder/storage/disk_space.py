"""Reserving room on the disk before it is written to."""

import errno
import os
import sys

FULL_DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
)  # of the disk, of a quota, of a limit on files


def take_room(handle: int, size: int) -> None:
    """Take `size` bytes of the disk behind the end of an open file, where its system can.

    Raises:
        OSError: the disk, a quota or a limit forbids it.

    """
    if sys.platform != "linux":
        return
    try:
        os.posix_fallocate(handle, os.fstat(handle).st_size, size)
    except OSError as error:
        if error.errno in FULL_DISK:  # else a file system that reserves nothing
            raise
