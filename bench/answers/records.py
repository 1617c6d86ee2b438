"""The records of measured pages, from which `docs/published.md` reads its numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.targets import selected

MEASURED = Path("docs/measured")

Record = Mapping[str, Any]


class MissingError(Exception):
    """A number that is not measured yet."""


@dataclass(frozen=True)
class Records:
    """The records of the measured pages, read when they are needed.

    Attributes:
        folder: of the records.
        read: the records that were read, by name.

    """

    folder: Path = MEASURED
    read: dict[str, Record] = field(default_factory=dict)

    def page(self, name: str) -> Record:
        """Return the record of a page.

        Raises:
            MissingError: it is not measured.

        """
        if name not in self.read:
            file = self.folder / f"{name}.json"
            if not file.is_file():
                raise MissingError(name)
            self.read[name] = json.loads(file.read_text(encoding="utf-8"))
        return self.read[name]

    @property
    def default(self) -> Record:
        """The record of the default study."""
        return self.page("default")

    def estimator(self, name: str) -> Record:
        """Return the numbers of an estimator of the default study.

        Raises:
            MissingError: the study has none of this name.

        """
        return _named(self.default["estimators"], name)

    @property
    def ours(self) -> tuple[str, Record]:
        """The estimator of the default study whose size the ladder selected, and its numbers."""
        chosen = selected(self.default)
        if chosen is None:
            raise MissingError("ladder")
        return chosen

    def rows(self, page: str = "transfer") -> list[Record]:
        """Return the rows of the benchmark whose training did not diverge."""
        return [cell for cell in self.page(page)["cells"] if "estimators" in cell]

    def windows(self) -> list[Record]:
        """Return the rows of `make published`, the shortest window first.

        Raises:
            MissingError: none is measured.

        """
        if not (rows := self.rows("published")):
            raise MissingError("published")
        return rows

    def applied(self) -> Record:
        """Return the row of `make published` with a search and maps.

        Raises:
            MissingError: it is not measured.

        """
        return first_of([cell for cell in self.windows() if "curriculum" in cell])


def _named(entries: Record, name: str) -> Record:
    if name not in entries:
        raise MissingError(name)
    entry: Record = entries[name]
    return entry


def first_of(found: Sequence[Record]) -> Record:
    """Return the first row that was found.

    Raises:
        MissingError: there is none.

    """
    if not found:
        raise MissingError("row")
    return found[0]
