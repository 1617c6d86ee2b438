"""The text of a user's file: decompressed, decoded as UTF-8, with plain line ends."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

from trainorder.data.text_counts import BYTE_ORDER_MARK, TextCounts
from trainorder.errors import UserError

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


def _zstandard(content: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise UserError(
            "corpus.files: .zst files need the package zstandard; run `pip install zstandard`"
        ) from None
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True)
        return bytes(reader.read())
    except zstandard.ZstdError as error:
        raise ValueError(error) from None


_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": _zstandard,
}
