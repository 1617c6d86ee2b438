"""Reserve disk space before a file is written."""

import errno
import os
import sys

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota, file size limit


def reserve_space(handle: int, size: int) -> None:
    """Reserve `size` bytes after the end of an open file if the file system supports it.

    Args:
        handle: the file descriptor.
        size: bytes.

    Raises:
        OSError: the disk is full, or a quota or the file size limit is reached.

    """
    if sys.platform != "linux":
        return
    try:
        os.posix_fallocate(handle, os.fstat(handle).st_size, size)
    except OSError as error:
        if error.errno in FULL_DISK:  # any other error: reservation is not supported
            raise
