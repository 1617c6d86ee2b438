"""Jobs of a study on a model of the user train its adapters only."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from trainorder.config.sections.model import ModelConfig
from trainorder.expansion.path import StoredPath
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.checkpoints import read_state
from trainorder.training.model import LanguageModel
from workflow_tree import Tree, assert_one_line, by_hand

pytestmark = pytest.mark.study
LORA = {"rank": 2, "alpha": 4, "targets": ["q_proj", "v_proj"]}


@pytest.fixture
def run_job(finished, tmp_path):
    """Return a tree, and a function that runs a job of the smoke study with adapters."""
    torch.manual_seed(1)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=400, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=32,
        )
    ).save_pretrained(tmp_path / "model")  # fmt: skip
    tree = Tree(tmp_path)

    def run(job, **inputs):
        record = finished.job_elsewhere(job)
        sizes = finished.job("warm")["params"]["problem"]["model"]
        record["params"]["problem"]["model"] = {**sizes, "source": "model", "lora": LORA}
        record["input"] |= inputs
        return by_hand(tree, job.split("-")[0], record)

    return tree, run


def test_the_path_contains_the_parameters_of_the_adapters_only(run_job, finished, monkeypatch):
    tree, run = run_job
    monkeypatch.chdir(tree.root)
    key = finished.job("warm")["params"]["key"]
    assert run("warm").code == 0
    warm = tree.results / "store/warm.h5"
    fields = finished.job("warm")["params"]["problem"]["model"]
    config = ModelConfig(**{**fields, "source": "model", "lora": LORA})
    adapters = LanguageModel(config, 320, 32, 0, torch.float32).size
    state = read_state(warm, key, "warm")
    assert state.parameters.shape == (adapters,)
    assert state.parameters.any(), "the adapters did not change"
    assert run("reference", warm=str(warm)).code == 0
    with opened(tree.results / "store/reference/path.h5", key, "reference") as file:
        path = StoredPath(file)
        assert path.parameters(path.steps).shape == (adapters,)
        assert not torch.equal(path.parameters(path.steps), state.parameters)


def test_a_model_without_weights_is_trained_from_scratch(run_job):
    tree, run = run_job
    (tree.root / "model/model.safetensors").unlink()
    with pytest.warns(UserWarning, match="no weights; a new model"):
        ended = run("warm")
    assert ended.code == 0, ended.error


def test_a_folder_without_a_model_raises_one_line(run_job):
    tree, run = run_job
    for name in ("model.safetensors", "config.json"):
        (tree.root / "model" / name).unlink()
    assert_one_line(run("warm"), "model.source: model: cannot be loaded")
