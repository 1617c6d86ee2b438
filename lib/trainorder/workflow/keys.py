"""The keys of stored files: digests of the parts of the configuration that decide their content.

A stored file carries its key. A job that reads a file with another key raises, so that files of two
configurations never mix.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.config.later_keys import as_before
from trainorder.errors import UserError
from trainorder.storage.provenance import digest
from trainorder.storage.sealed_hdf5 import stated_key


@dataclass(frozen=True)
class StudyKeys:
    """The keys of one study.

    Attributes:
        corpus: of `corpus.h5`, which depends on text and window, but not on the model.
        study: of every other file.

    """

    corpus: str
    study: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "StudyKeys":
        """Return the keys of a complete configuration.

        Options that were added in later versions enter a key only where they are set. Files from
        before they existed keep their keys.
        """
        text = as_before("corpus", config["corpus"])
        window = as_before("window", config["window"])
        corpus = digest(text, window, config["seeds"]["data"])
        optimizer = dict(as_before("optimizer", config["optimizer"]))
        if optimizer.get("horizon", 0) is None:
            del optimizer["horizon"]
        study = digest(
            corpus,
            as_before("model", config["model"]),
            optimizer,
            config["seeds"],
            config["threads"],
            *([config["device"]] if config["device"] != "cpu" else []),
            *([as_before("run", config["run"])] if config["run"] else []),
        )
        return cls(corpus, study)

    def proxy(self, model: Mapping[str, Any]) -> str:
        """Return the key of the files that belong to the proxy model `model` alone."""
        return digest(self.study, as_before("model", model))

    def fresh(self, seed: int) -> str:
        """Return the key of the files of retrainings from other initial weights."""
        return digest(self.study, {"init": seed})


def check_origin(results: str, keys: StudyKeys) -> None:
    """Check that stored files without a Snakemake record belong to this configuration.

    Snakemake would take files that were copied from elsewhere for up to date. It reruns the rules
    of files that it has a record of, so their keys may differ.

    Raises:
        UserError: a stored file has another key and no record.

    """
    foreign = []
    for name, key in (("corpus.h5", keys.corpus), ("store/warm.h5", keys.study)):
        path = f"{results}/{name}"
        record = Path(".snakemake/metadata", urlsafe_b64encode(path.encode()).decode())
        if not record.exists() and stated_key(path) not in (key, None):
            foreign.append(path)
    if foreign:
        raise UserError(
            f"{' and '.join(foreign)}: computed elsewhere with another configuration; delete "
            f"{results}, or choose another name for the study"
        )
