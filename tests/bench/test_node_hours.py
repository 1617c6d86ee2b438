"""The table of node hours has a row for each preset, planned from its present configuration."""

import pytest
from transformers import LlamaConfig

from bench import node_hours
from bench.config_hash import config_hash
from bench.node_hours_table import MARK, NODE_CORES, markdown
from bench.studies import Study
from configs import ROOT
from trainorder.errors import UserError
from trainorder.storage.formats import read_json

NAMES = [node_hours.DEFAULT, *sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))]
ROW = {
    "inputs": ["texts"],
    "parameters": 1000,
    "bytes": 10**9,
    "core_hours": 128.0,
    "wall_hours": 3.0,
}
MADE = {"versions": {"python": "3"}, "machine": {"processor": "some", "cores": 2}}


@pytest.fixture(scope="module")
def record():
    return read_json(ROOT / node_hours.OUTPUT)


@pytest.fixture(autouse=True)
def top_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("bench.studies.FOLDER", tmp_path)  # layers are written there


def test_the_table_is_made_from_its_record(record):
    section = (ROOT / node_hours.PAGE).read_text(encoding="utf-8").split(f"<!-- {MARK} -->")[1]
    assert section.startswith(f"\n{markdown(record)}\n<!-- /{MARK} -->"), (
        "python -m bench.node_hours"
    )


def test_every_preset_has_a_row(record):
    assert list(record["rows"]) == NAMES, "python -m bench.node_hours NAME"


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_planned_from_the_present_configuration(name, record):
    """Its counts show that the formulas of the plan are the present ones, too."""
    row, config = record["rows"][name], node_hours.configured(name)
    again = f"python -m bench.node_hours {name}"
    assert row["config"] == config_hash(config), again
    assert row["inputs"] == node_hours.inputs(config), again
    try:
        counted = node_hours.counted(config)
    except UserError:
        return  # the pretrained model is not on this machine
    assert {key: row.get(key) for key in counted} == counted, again


def test_a_row_has_the_configuration_of_its_preset():
    assert node_hours.configured("wider")["model"] == Study("wider", "wider").config()["model"]
    assert node_hours.configured("wider")["device"] == "cpu"


def test_replicates_are_counted():
    config = node_hours.configured("full")
    one = {**config, "curriculum": {**config["curriculum"], "replicates": []}}
    assert len(node_hours.replicates(config)) > 1
    assert node_hours.counted(config)["jobs"] > 2 * node_hours.counted(one)["jobs"]


def test_node_hours_are_core_hours_by_the_cores_of_a_node():
    text = markdown({"made": MADE, "rows": {"mine": ROW}})
    assert f"| `mine` | 1,000 | 128 | {128 / NODE_CORES:g} | 3 | 1 GB | texts |" in text
    assert f"divided by {NODE_CORES}" in text


def test_thousands_of_hours_are_not_written_with_an_exponent():
    row = {"inputs": [], "parameters": 1, "bytes": 1, "core_hours": 1756.4, "wall_hours": 516.0}
    assert "| 1,756 | 27.4 | 516 |" in markdown({"made": MADE, "rows": {"mine": row}})


def test_a_preset_that_cannot_be_planned_says_why():
    row = {"inputs": ["hub dataset", "pretrained model"], "error": "model.source: no such folder"}
    text = markdown({"made": MADE, "rows": {"mine": row}})
    line = "hub dataset, pretrained model; not planned here: model.source: no such folder |"
    assert line in text


def test_a_preset_without_its_model_gives_a_row_with_the_error(monkeypatch, tmp_path):
    config = node_hours.configured("finetune")
    config["model"]["source"] = str(tmp_path / "missing")
    monkeypatch.setattr(node_hours, "configured", lambda name: config)
    row = node_hours.planned("finetune")
    assert row["inputs"] == ["texts", "pretrained model"]
    assert "missing: no such folder" in row["error"]
    assert "core_hours" not in row


def test_a_preset_that_would_take_long_to_plan_is_timed_with_one_sequence(monkeypatch):
    asked = []

    def costs(config, replicates, cores, largest):
        asked.append(largest)
        return {"total": {"hours": 128.0, "wall_hours": 3.0}}

    monkeypatch.setattr(node_hours, "planned_costs", costs)
    short = node_hours.planned("smoke")
    monkeypatch.setattr(node_hours, "MOST", 1)
    long = node_hours.planned("smoke")
    assert asked == [None, 1]
    said = "timed with one sequence"
    assert said in markdown({"made": MADE, "rows": {"smoke": long}})
    assert said not in markdown({"made": MADE, "rows": {"smoke": short}})


def test_weights_that_are_not_trained_count_as_work(tmp_path):
    """Low-rank adapters save parameters, but gradients pass through the whole model."""
    LlamaConfig(hidden_size=64, intermediate_size=128, num_attention_heads=4).save_pretrained(
        tmp_path
    )
    work = {}
    for name in ("finetune", "finetune_lora"):
        config = node_hours.configured(name)
        config["estimators"] = [{"method": "order0", "path": "reference"}]
        config["model"]["source"] = str(tmp_path)
        work[name] = node_hours.timed_operations(config)
    assert work["finetune"] <= work["finetune_lora"] < 1.1 * work["finetune"]


def test_an_unknown_preset_is_one_line():
    with pytest.raises(SystemExit) as error:
        node_hours.main(["nowhere"])
    assert str(error.value).startswith("error: nowhere: no such preset; presets are default, ")
