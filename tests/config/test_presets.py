"""The presets for larger models have the sizes that their comments state."""

import re
from collections import Counter

import pytest
from transformers import LlamaConfig

from bench.node_hours import PASSES
from configs import ROOT, config
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER
from trainorder.planning import plan as plan_module
from trainorder.planning.disk_check import vector_bytes
from trainorder.planning.machine_speed import MachineSpeed, Operation
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.storage.formats import size_text

LARGE = ("paper", "gpu", "finetune", "finetune_lora")
# A GPU and its host, assumed to be slower than they are. FLOPS: floating-point operations per
# second, an eighth to a sixth of the peak of an H100 in float32. Numbers through AdamW,
# multiplications and bytes hashed per second, on 8 threads and limited by memory. START: seconds
# until a job begins to compute.
FLOPS, UPDATES, PRODUCTS, HASHED, START = 10e12, 0.5e9, 20e9, 1e9, 15.0


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """Return a function from a preset to its configuration, without the packaged model.

    Its folder contains only a configuration, which determines the sizes.
    """
    monkeypatch.chdir(ROOT)
    LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8192,
        tie_word_embeddings=True,
    ).save_pretrained(tmp_path)  # fmt: skip

    def read(name):
        preset_config = config(name)
        if preset_config["model"]["source"] is not None:
            assert preset_config["model"]["source"] == PACKAGED_MODEL_FOLDER
            preset_config["model"]["source"] = str(tmp_path)
        return preset_config

    return read


def test_paper_has_the_published_size(preset):
    sizes = Sizes(preset("paper"))
    assert 0.19e9 < sizes.P < 0.21e9
    assert (sizes.T, sizes.U, sizes.k, sizes.window.epochs) == (256, 256, 1, 1)
    assert sizes.corpus.hub.name == "Salesforce/wikitext"
    assert sizes.corpus.hub.subset == "wikitext-103-raw-v1"


def test_gpu_has_its_stated_size_and_the_packaged_texts(preset):
    sizes = Sizes(preset("gpu"))
    assert 10e6 < sizes.P < 50e6
    assert sizes.T == 64
    assert (sizes.corpus.source, sizes.corpus.domains) == ("packages", None)


@pytest.mark.parametrize(
    ("name", "trained"), [("finetune", 134_515_008), ("finetune_lora", 460_800)]
)
def test_fine_tuning_starts_at_the_packaged_model(preset, name, trained):
    sizes = Sizes(preset(name))
    assert trained == sizes.P
    assert sizes.window.warmup_steps == 0
    assert sizes.corpus.source == "packages"


def test_both_ways_of_fine_tuning_see_the_same_text(preset):
    first, second = preset("finetune"), preset("finetune_lora")
    for section in ("corpus", "window", "seeds"):
        assert first[section] == second[section]


def size_comment(preset_config):
    """Return the sizes of a preset's stages, in the words of its comment."""
    sizes = Sizes(preset_config)
    planned = stages(sizes)
    disk, scratch = sum(stage.bytes for stage in planned), max(stage.scratch for stage in planned)
    vectors = (vector_bytes(stage, sizes) for stage in planned)
    in_memory, in_files = map(max, zip(*vectors, strict=True))
    return (
        f"{sizes.P / 1e6:.3g} million parameters, {size_text(disk)} of disk and "
        f"{size_text(scratch)} more while it runs, {size_text(in_memory)} of vectors in the memory "
        f"of a job and {size_text(in_files)} in its temporary files"
    )


def comment(name):
    """Return the text of a preset's comments."""
    text = (ROOT / f"presets/{name}.yaml").read_text(encoding="utf-8")
    return " ".join(" ".join(re.findall(r"^# *(.*)$", text, re.M)).split())


@pytest.mark.parametrize("name", LARGE)
def test_the_comment_of_a_preset_states_its_sizes(preset, name):
    assert size_comment(preset(name)) in comment(name), f"presets/{name}.yaml says something else"


def assumed_rates(sizes):
    """Return the rates of the assumed machine."""
    seconds = {
        Operation("update"): 1 / UPDATES,
        Operation("product"): 1 / PRODUCTS,
        Operation("hash"): 1 / HASHED,
    }
    for unit in {unit for stage in stages(sizes) for unit in stage.work if unit.sequences}:
        tokens = unit.sequences * sizes.corpus.sequence_length
        parameters = sizes.narrow_P if unit.narrow else sizes.P
        seconds[unit] = PASSES[unit.kind] * parameters * tokens / FLOPS
    return MachineSpeed(seconds, Counter(), 0, START)


def test_gpu_is_planned_to_take_about_half_an_hour(preset, tmp_path, monkeypatch):
    gpu = preset("gpu")
    monkeypatch.setattr(plan_module, "_machine_speed", lambda sizes, *_: assumed_rates(sizes))
    for check in ("check_disk", "check_temporary"):
        monkeypatch.setattr(plan_module, check, lambda *_: None)
    total = plan_module.plan(gpu, [], 16, tmp_path)["total"]
    assert 0.4 < total["wall_hours"] < 0.6
    assert f"{60 * total['wall_hours']:.0f} minutes" in comment("gpu")


LEFT_OUT = {"paper": (4e12, 50e12), "finetune": (150e9, None)}  # bytes in files; of a whole table


@pytest.mark.parametrize("name", LEFT_OUT)
def test_the_omitted_estimators_would_need_too_much_disk(preset, name):
    preset_config, (most, table) = preset(name), LEFT_OUT[name]
    preset_config["estimators"] = [{"method": "nystrom", "path": "barycentre"}]
    preset_config["curvature"]["rank"] = 96
    sizes = Sizes(preset_config)
    [probes] = [s for s in stages(sizes) if s.name == "probes/barycentre"]
    assert vector_bytes(probes, sizes)[1] > most
    if table is not None:
        preset_config["expansion"]["anchors"] = "all"
        assert Sizes(preset_config).table_bytes("reference") > table
