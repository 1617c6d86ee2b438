"""Reservation of disk space before a file is written."""

import errno
import os
import sys

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk, quota, limit on file size


def reserve_space(handle: int, size: int) -> None:
    """Reserve `size` bytes after the end of an open file, where the file system supports it.

    Raises:
        OSError: the disk is full, or a quota or a limit on file size is reached.

    """
    if sys.platform != "linux":
        return
    try:
        os.posix_fallocate(handle, os.fstat(handle).st_size, size)
    except OSError as error:
        if error.errno in FULL_DISK:  # other errors: the file system cannot reserve
            raise
