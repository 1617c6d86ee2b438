"""The text of a user's file: decompressed, decoded as UTF-8, with plain line ends."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainorder.data.text_counts import BYTE_ORDER_MARK, TextCounts
from trainorder.errors import UserError

_CHUNK = 1 << 20  # bytes that a decompressor gets at once
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def decoded(path: str | Path, counts: TextCounts) -> str:
    r"""Return the text of a file without a byte-order mark, with `\n` as its line ends.

    Args:
        path: the file. One that ends in .gz, .zst, .bz2 or .xz is decompressed.
        counts: where the removed mark and the replaced line ends are counted.

    Raises:
        UserError: the file cannot be read or decompressed, or is not UTF-8.

    """
    content = _content(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        kind = "UTF-16" if content.startswith(_UTF_16) else f"not UTF-8 at byte {error.start}"
        raise UserError(f"{path}: {kind}; convert the file to UTF-8") from None
    if text.startswith(BYTE_ORDER_MARK):
        counts.files["byte_order_marks"] += 1
        text = text.removeprefix(BYTE_ORDER_MARK)
    counts.files["crlf"] += text.count("\r\n")
    return text.replace("\r\n", "\n")


def _content(path: str | Path) -> bytes:
    suffix = Path(path).suffix.lower()
    try:
        content = Path(path).read_bytes()
        return _DECOMPRESS[suffix](content) if suffix in _DECOMPRESS else content
    except OSError as error:
        if error.errno is not None:
            raise UserError(
                f"{path}: cannot be read: {error.strerror}; correct corpus.files or make it "
                "readable"
            ) from None
        reason: Exception = error
    except (EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        reason = error
    raise UserError(f"{path}: cannot be decompressed: {reason}; replace the file")


def _streams(content: bytes, new: Callable[[], Any]) -> bytes:
    """Return the decompressed content of all streams of a file, one after the other.

    The functions of `bz2`, `lzma` and `zstandard` for whole files return what comes before a
    damaged or missing part without an error.

    Args:
        content: of the file.
        new: returns a decompressor of one stream.

    Raises:
        ValueError: the last stream has no end.

    """
    view, place, parts = memoryview(content), 0, []
    while place < len(view) and any(view[place:]):  # zeros may follow the last stream
        stream = new()
        while not stream.eof:
            chunk = view[place : place + _CHUNK]
            if not chunk:
                raise ValueError("the file ends too early")
            parts.append(stream.decompress(chunk))
            place += len(chunk) - len(stream.unused_data)
    return b"".join(parts)


def _bzip2(content: bytes) -> bytes:
    return _streams(content, bz2.BZ2Decompressor)


def _xz(content: bytes) -> bytes:
    return _streams(content, lzma.LZMADecompressor)


def _zstandard(content: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise UserError(
            "corpus.files: .zst files need the package zstandard; run `pip install zstandard`"
        ) from None
    try:
        return _streams(content, zstandard.ZstdDecompressor().decompressobj)
    except zstandard.ZstdError as error:
        raise ValueError(error) from None


_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": _bzip2,
    ".xz": _xz,
    ".zst": _zstandard,
}
