"""The stored expansion of a study: paths and gradient tables in `results/<study>/store`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainorder.expansion.gradient_table import Table, opened_table
from trainorder.expansion.path import StoredPath, opened_path
from trainorder.storage.formats import read_json
from trainorder.storage.manifest import shards
from trainorder.training.checkpoints import read_state
from trainorder.training.optimizer import State


@dataclass(frozen=True)
class Store:
    """The store of a study whose manifest is complete.

    Attributes:
        folder: `results/<study>/store`.
        key: the study key that its files carry.

    """

    folder: Path
    key: str

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Return the store in `folder` with the key that its manifest states.

        Raises:
            UserError: the manifest is missing or damaged.

        """
        return cls(folder, str(read_json(folder / "manifest.json", "manifest")["study"]))

    @property
    def manifest(self) -> Path:
        """The list of all files of the store."""
        return self.folder / "manifest.json"

    def start(self) -> State:
        """Read the state before the window.

        Raises:
            UserError: the file is missing, damaged or belongs to another study.

        """
        return read_state(self.folder / "warm.h5", self.key, "warm")

    def files(self, path: str, kind: str) -> list[Path]:
        """Return the files of one kind of an expansion path, checked against the manifest.

        Args:
            path: `reference` or `barycentre`.
            kind: `path`, `table`, `residuals`, `known_runs`, `curvature`, `reduced` or `effects`.

        Raises:
            UserError: the manifest or a file is missing, damaged or belongs to another study.

        """
        return shards(self.manifest, self.key, path, kind)

    @contextmanager
    def path(self, name: str) -> Iterator[StoredPath]:
        """Open an expansion path by its name."""
        [file] = self.files(name, "path")
        with opened_path(file, self.key) as path:
            yield path

    @contextmanager
    def table(self, name: str) -> Iterator[Table]:
        """Open the gradient table of an expansion path by its name."""
        with opened_table(self.files(name, "table"), self.key) as table:
            yield table
