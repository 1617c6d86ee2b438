"""How Snakemake was started, and how it ends on an error of the user."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainorder.errors import UserError


@dataclass(frozen=True)
class Invocation:
    """How Snakemake was started.

    Attributes:
        basedir: the folder of the Snakefile.
        cores: the number of cores, or None on a cluster.
        remote: whether this process runs one job of a cluster.
        configfiles: configuration files, the later ones overriding the earlier ones.
        orders_file: the file of `--config orders=FILE`, which rule `what_if` estimates.
        figures: the value of `--config figures=...`, names of figures to draw; None without it.

    """

    basedir: Path
    cores: int | None = None
    remote: bool = False
    configfiles: Sequence[str | Path] = ()
    orders_file: str | None = None
    figures: object = None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a `UserError` into one `error:` line and exit status 1."""
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")
