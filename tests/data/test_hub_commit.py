"""The commit in the results is that of the data and the tokenizer that were loaded.

A local cache of the hub stands for the hub. Its files are those that the libraries write.
"""

import json
import shutil
from dataclasses import replace

import datasets
import huggingface_hub
import pytest
import tokenizers as backends
import transformers

from trainorder.data import tokenizer as tokenizers
from trainorder.data.build import build
from trainorder.data.hub import dataset_commit
from trainorder.errors import UserError

COMMIT = "c" * 40


@pytest.fixture
def cached_dataset(tmp_path, config, monkeypatch):
    """Return a configuration with a dataset that is in the cache only."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    shutil.copy(config.files[0], folder / "train.jsonl")
    datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "written"))
    (written,) = (path.parent for path in (tmp_path / "written").rglob("dataset_info.json"))
    shutil.copytree(written, tmp_path / f"cache/maker___shelf/default/0.0.0/{COMMIT}")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    source = {"name": "maker/shelf", "split": "train", "revision": "main"}
    return replace(config, source="hub", files=[], hub=source, domains=None)


def test_the_summary_has_the_revision_and_the_commit_of_a_hub_dataset(cached_dataset, window):
    corpus, _, summary = build(cached_dataset, window, 0, {})
    assert len(corpus.domains) == 3
    for domain in corpus.domains:
        origin = summary["domains"][domain]["from"]
        assert (origin["name"], origin["revision"]) == ("maker/shelf", "main")
        assert origin["commit"] == COMMIT
    assert summary["tokenizer"]["commit"] is None, "the tokenizer was trained"


def test_rows_are_requested_by_their_commit(cached_dataset, window, monkeypatch):
    """The branch may move after its commit was read."""
    plain, seen = datasets.load_dataset, []

    def loader(*args, revision, **options):
        seen.append(revision)
        return plain(*args, revision=revision, **options)

    monkeypatch.setattr(datasets, "load_dataset", loader)
    build(cached_dataset, window, 0, {})
    assert seen == [COMMIT]


def test_a_dataset_in_a_folder_has_no_commit(tmp_path, config, window, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "shelf"
    folder.mkdir()
    shutil.copy(config.files[0], folder / "train.jsonl")
    local = replace(config, source="hub", files=[], hub={"name": str(folder), "split": "train"})
    assert build(local, window, 0, {})[2]["domains"]["sea"]["from"]["commit"] is None
    assert dataset_commit(config) is None, "files have no commit"


def test_the_commit_of_an_unknown_dataset_raises_one_line(tmp_path, config, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    unknown = replace(config, source="hub", files=[], hub={"name": "maker/none", "split": "x"})
    with pytest.raises(UserError, match=r"^corpus.hub: maker/none: .*cannot be loaded"):
        dataset_commit(unknown)


@pytest.mark.parametrize("revision", [None, "v2", "b" * 40])
def test_the_commit_of_a_tokenizer_on_the_hub_is_that_of_the_loaded_one(
    tmp_path, monkeypatch, revision
):
    repository = tmp_path / "models--maker--model"
    (repository / "refs").mkdir(parents=True)
    commits = {"main": "a" * 40, "v2": "b" * 40}
    for size, (branch, commit) in zip((270, 290), commits.items(), strict=True):
        backend = tokenizers.train([json.dumps(list(range(400)))], size).backend
        assert isinstance(backend, backends.Tokenizer)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=backend, eos_token=tokenizers.END_OF_TEXT
        ).save_pretrained(repository / "snapshots" / commit)
        transformers.LlamaConfig().save_pretrained(repository / "snapshots" / commit)
        (repository / "refs" / branch).write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    expected = revision if revision in commits.values() else commits[revision or "main"]
    name = "maker/model" if revision is None else f"maker/model@{revision}"
    found = tokenizers.load(name)
    folder = tokenizers.load(str(repository / "snapshots" / expected))
    assert found.commit == expected
    assert found.backend.to_str() == folder.backend.to_str(), "another commit was loaded"
    assert folder.commit is None, "a local folder has no commit"
