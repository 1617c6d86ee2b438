"""The store opens the files that its manifest lists and raises for all others."""

import pytest
import torch

from problems import Polynomial, optimizer_config, torch_states, warm_state
from trainorder.errors import UserError
from trainorder.expansion.even_anchors import even_anchors
from trainorder.expansion.gradient_table import write_table
from trainorder.expansion.path import opened_path, write_path
from trainorder.expansion.store import Store
from trainorder.storage.manifest import write_manifest
from trainorder.training.checkpoints import write_state

KEY = "feedc0ffee123456"
REFERENCE = [[0], [1], [2], [3]]
STEPS = len(REFERENCE)


@pytest.fixture
def study(tmp_path):
    """Return a problem, the states of a path, and a store with the path and its table."""
    problem, config = Polynomial(4, size=3), optimizer_config(learning_rate=0.05)
    start = warm_state(problem, problem.start, config)
    states = torch_states(problem, start, REFERENCE, config)
    write_state(tmp_path / "warm.h5", KEY, states[0])
    file, anchors = tmp_path / "reference" / "path.h5", even_anchors(STEPS, None)
    write_path(file, KEY, lambda t: states[t], steps=STEPS, anchors=anchors)
    tables = [tmp_path / "reference" / f"table-{shard}.h5" for shard in range(2)]
    with opened_path(file, KEY) as path:
        for shard, table in enumerate(tables):
            write_table(table, KEY, problem, path, anchors[shard::2])
    write_manifest(tmp_path / "manifest.json", KEY, "code", [file, *tables])
    return problem, states, Store.open(tmp_path)


def test_the_key_is_that_of_the_manifest(study):
    *_, store = study
    assert store.key == KEY


def test_start_and_path_return_the_stored_states(study):
    _, states, store = study
    assert torch.equal(store.start().parameters, states[0].parameters)
    with store.path("reference") as path:
        for t, state in enumerate(states):
            assert torch.equal(path.state(t).exp_avg, state.exp_avg)


def test_the_table_joins_all_shards(study):
    problem, states, store = study
    with store.table("reference") as table:
        assert table.anchors.tolist() == list(range(STEPS))
        for t in range(STEPS):
            theta = states[t].parameters.requires_grad_()
            [gradient] = torch.autograd.grad(problem.loss(theta, 2), theta)
            assert torch.allclose(table.at(t)[2], gradient)


def test_a_path_that_the_manifest_does_not_list_raises(study):
    *_, store = study
    with (
        pytest.raises(UserError, match="no file of kind `path` for path `barycentre`"),
        store.path("barycentre"),
    ):
        pass


def test_a_store_without_a_manifest_names_the_rule_that_writes_it(tmp_path):
    with pytest.raises(UserError, match="rule `manifest`"):
        Store.open(tmp_path)


def test_a_path_of_another_study_raises(study):
    *_, store = study
    file = store.folder / "reference" / "path.h5"
    with pytest.raises(UserError, match="rule `reference`"), opened_path(file, "another"):
        pass


def test_a_path_file_in_another_folder_raises(tmp_path):
    with (
        pytest.raises(UserError, match="its folder names no expansion path"),
        opened_path(tmp_path / "path.h5", KEY),
    ):
        pass
