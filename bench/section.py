"""A command that measures finished studies and writes what it finds into a section of a page."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.page import Record, replace_marked
from bench.studies import say
from trainorder.errors import UserError
from trainorder.storage.formats import write_json


@dataclass(frozen=True)
class Section:
    """A marked section of a page, and the file of the numbers that it shows.

    Attributes:
        output: the file of the record.
        page: the page.
        mark: the name of the section.
        markdown: returns the section of a record.

    """

    output: Path
    page: Path
    mark: str
    markdown: Callable[[Record], str]

    def write(self, record: Record) -> None:
        """Write the record and the section."""
        write_json(self.output, record)
        replace_marked(self.page, self.mark, self.markdown(record))
        say(f"{self.output}, {self.page}")


def write_measured(
    section: Section,
    description: str,
    measure: Callable[[Sequence[Path]], Record],
    arguments: Sequence[str] | None,
    *,
    several: bool = False,
) -> None:
    """Measure the studies that the command line names, and write the section.

    Args:
        section: where the record goes.
        description: what the command does, for its help.
        measure: returns the record of the folders of finished studies.
        arguments: of the command; None for those of the process.
        several: whether the command takes more than one study.

    """
    parser = argparse.ArgumentParser(description=description)
    count, text = (
        ("+", "folders of finished studies") if several else (1, "folder of a finished study")
    )
    parser.add_argument("results", type=Path, nargs=count, help=text)
    try:
        record = measure(parser.parse_args(arguments).results)
    except UserError as error:
        sys.exit(f"error: {error}")
    section.write(record)
