"""The files that a study reads and does not make itself."""

import os
from pathlib import Path
from typing import Any

from trainorder.config.files import corpus_files
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER
from trainorder.config.sections.window import WindowConfig
from trainorder.data import archives
from trainorder.data.recorded_corpus import is_record, record_files
from trainorder.errors import UserError
from trainorder.evaluation.result_files import CHECKSUMS
from trainorder.training.packaged_model import FILES
from trainorder.workflow.invocation import one_line_errors
from trainorder.workflow.stages.study import StudySettings


class InputFiles(StudySettings):
    """Files of the user, and of packages and models that the study downloads."""

    @property
    def packages(self) -> list[archives.Archive]:
        """The packages whose text the corpus uses."""
        corpus = self.config["corpus"]
        return archives.select(corpus["domains"]) if corpus["source"] == "packages" else []

    @property
    def corpus_files(self) -> list[str]:
        """Files of text or tokens that the user names, also by a folder or a pattern."""
        corpus = CorpusConfig(**self.config["corpus"])
        if Path(self.results, CHECKSUMS).exists():  # unpacked, so the files need not be here
            return list(corpus.files)
        if corpus.source == "tokens" and is_record(corpus):
            return record_files(corpus, WindowConfig(**self.config["window"]))
        return corpus_files(self.config["corpus"])

    @property
    def packaged_model(self) -> list[str]:
        """Files of the packaged model if the study uses it; rule `pretrained` makes them."""
        source = Path(self.config["model"]["source"] or "")
        return packaged_model_files() if source == Path(PACKAGED_MODEL_FOLDER) else []

    @property
    def model_files(self) -> list[str]:
        """Files of the model to start from; none for a new model or a name on the hub."""
        source = self.config["model"]["source"]
        if self.packaged_model:
            return self.packaged_model
        if source and os.path.isdir(source):
            return sorted(str(path) for path in Path(source).glob("*.*"))
        return []

    @property
    def tokenizer_files(self) -> list[str]:
        """The file of the tokenizer that the user names; none for a name on the hub."""
        name = self.config["corpus"]["tokenizer"]
        path = str(Path(name or "") / "tokenizer.json")
        is_file = name and (os.path.isfile(path) or path in self.packaged_model)
        return [path] if is_file else []

    @property
    def tokenizer(self) -> str | list[str]:
        """The tokenizer that rule `corpus` writes; none where the corpus comes as tokens."""
        text = self.config["corpus"]["source"] != "tokens"
        return f"{self.results}/tokenizer/tokenizer.json" if text else []

    @property
    def custom_orders(self) -> str | list[str]:
        """The file of `orders.custom`."""
        return self.config["orders"]["custom"] or []

    @property
    def run_order(self) -> str | list[str]:
        """The file of the order of an existing run."""
        return (self.config["run"] or {}).get("order") or []

    def orders_file(self, wildcards: Any) -> str:
        """Return the orders file of `--config orders=FILE`; exit with one line if it is missing."""
        with one_line_errors():
            if self.invocation.orders_file is None:
                raise UserError("what_if: no orders file; add --config orders=FILE")
        return str(self.invocation.orders_file)


def packaged_model_files() -> list[str]:
    """Return the files that rule `pretrained` makes."""
    return [f"{PACKAGED_MODEL_FOLDER}/{name}" for name in FILES]
