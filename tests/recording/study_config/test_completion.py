"""What a record decides in the configuration of a study, and what does not fit it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from configs import config, replaced
from recorded_runs import MICRO, SIZE, STEPS, Run, tokens
from trainers import LENGTH, VOCABULARY, llama
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.study_config import parse
from trainorder.data.recorded_corpus import is_record, read_recorded_corpus, record_files
from trainorder.data.token_labels import token_domains, token_labels
from trainorder.errors import UserError
from trainorder.orders.user_files import read_reference
from trainorder.recording import Recorder, write_heldout
from trainorder.recording.record.settings import read_settings, write_settings
from trainorder.recording.record.steps import RecordedStep, write_step
from trainorder.recording.study_config.completion import completed
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.model import LanguageModel

HELDOUT = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a record with states after 0, 3, 6 and 7 updates."""
    run, folder = Run(), tmp_path_factory.mktemp("record")
    heldout = tokens(2)[:, 0].flatten(0, 1)[:HELDOUT]
    with run.recorder(folder, heldout=heldout, gradient_clip=1.0) as record:
        run.train(record)
    return folder


def study(folder, **changes):
    """Return the default configuration with a recording, completed."""
    run = {"recording": str(folder), **changes.pop("run", {})}
    return completed(config(run=run, **changes))


def test_a_recording_alone_gives_a_complete_and_valid_study(folder):
    parsed = parse(study(folder))
    window = WindowConfig(
        warmup_steps=0, units=STEPS * MICRO, unit_size=SIZE, units_per_step=MICRO, epochs=1
    )
    assert parsed.window == window
    assert parsed.corpus.sequence_length == LENGTH
    assert parsed.corpus.heldout_sequences == HELDOUT
    optimizer = parsed.optimizer
    assert optimizer.rates == pytest.approx([1e-2 / (1 + step) for step in range(STEPS)])
    assert (optimizer.beta2, optimizer.weight_decay, optimizer.gradient_clip) == (0.999, 0.1, 1.0)
    norms = [name for name, one in llama().named_parameters() if one.ndim == 1]
    assert optimizer.no_decay == [f"^{re.escape(name)}$" for name in norms]
    assert parsed.model.source == str(folder / "checkpoint-0")
    assert parsed.run.checkpoints == str(folder)


def test_what_is_completed_can_be_completed_again(folder):
    once = study(folder)
    assert completed(once) == once


def test_a_configuration_without_a_recording_stays_as_it_is():
    plain = config()
    assert completed(plain) == plain
    wrong = config(run="text")
    assert completed(wrong) == wrong


def test_a_part_of_the_record_is_a_window(folder):
    part = study(folder, run={"start": 3, "steps": 2})
    assert part["window"]["warmup_steps"] == 3
    assert part["window"]["units"] == 2 * MICRO
    assert part["optimizer"]["rates"] == pytest.approx([1e-2 / 4, 1e-2 / 5])
    assert part["model"]["source"] == str(folder / "checkpoint-0")


def test_units_are_the_micro_batches_in_the_order_of_the_run(folder):
    part = study(folder, run={"start": 3})
    corpus_config, window = CorpusConfig(**part["corpus"]), WindowConfig(**part["window"])
    assert is_record(corpus_config)
    corpus, summary = read_recorded_corpus(corpus_config, window)
    assert np.array_equal(corpus.units, tokens()[3:].flatten(0, 1))
    assert corpus.vocabulary == VOCABULARY
    assert corpus.heldout.shape == (1, HELDOUT, LENGTH)
    assert set(corpus.unit_domains) == set(corpus.domains)
    assert token_labels(corpus_config, window).unit_domains == corpus.unit_domains
    assert token_domains(corpus_config) == corpus.domains
    assert summary["source"] == "recording"
    names = [name.rsplit("/", 1)[1] for name in record_files(corpus_config, window)]
    assert names[2:] == [f"{step:08}.safetensors" for step in range(3, STEPS)]
    order = read_reference(None, window)
    assert np.array_equal(order, np.arange(4 * MICRO).reshape(4, MICRO))


MISMATCHES = {
    "the window": ({"window__units": 12}, "config: window.units: 12, but the record"),
    "a moment": ({"optimizer__beta2": 0.9}, "config: optimizer.beta2: 0.9, but .* has 0.999"),
    "the rate": ({"optimizer__learning_rate": 1e-3}, "learning_rate: the record .* of each step"),
    "the schedule": ({"optimizer__schedule": "constant"}, "schedule: the record"),
    "the model": ({"model__source": "gpt2"}, "config: model.source: 'gpt2', but the record"),
    "the text": ({"corpus__sequence_length": 32}, "corpus.sequence_length: 32, but .* has 8"),
    "a start between states": ({"run": {"start": 4}}, "run.start: 4: .* one of 0, 3, 6"),
    "too many steps": ({"run": {"start": 3, "steps": 5}}, "run.steps: steps 3 to 8 are not in"),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_a_key_that_differs_from_the_record_raises_one_line(folder, case):
    changes, message = MISMATCHES[case]
    with pytest.raises(UserError, match=message) as error:
        study(folder, **changes)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_record_raises(tmp_path):
    with pytest.raises(UserError, match=r"record.json: no such file, so .* is not a record"):
        study(tmp_path)


WRONG_RUNS = {
    "an order beside": {"order": "order.json"},
    "checkpoints beside": {"checkpoints": "other"},
}


@pytest.mark.parametrize("case", WRONG_RUNS)
def test_keys_that_the_record_supplies_are_not_taken(folder, case):
    with pytest.raises(UserError, match=r"the recording supplies it; remove this key"):
        parse(study(folder, run=WRONG_RUNS[case]))


def test_only_a_recording_has_a_start(folder):
    with pytest.raises(UserError, match=r"run.start: only a recording has a part to choose"):
        parse(config(run={"checkpoints": ".", "order": "x", "start": 3}))


def recorded(folder, parts, heldout=None):
    """Record one step of each list of micro-batches."""
    model = llama()
    optimizer = torch.optim.AdamW(model.parameters())
    with Recorder(folder, model, optimizer, heldout=heldout) as record:
        for batches in parts:
            for batch in batches:
                record.batch(batch)
                model(input_ids=batch, labels=batch).loss.backward()
            optimizer.step()
    return folder


def test_steps_of_other_sizes_are_not_in_a_window(tmp_path):
    part = tokens()[0, 0]
    folder = recorded(tmp_path, [[part]] * 3, heldout=part)
    write_step(folder, 2, RecordedStep([part[:2].int().numpy()], [1e-3], None))
    with pytest.raises(UserError, match=r"00000002.*: has micro-batches of 2 x 8 tokens"):
        study(folder)
    assert study(folder, run={"steps": 2})["window"]["units"] == 2


def test_a_record_without_held_out_sequences_says_how_to_add_them(tmp_path):
    folder = recorded(tmp_path, [[tokens()[0, 0]]])
    with pytest.raises(UserError, match=r"heldout.safetensors: missing, .*write_heldout"):
        study(folder)
    with pytest.raises(UserError, match=r"the same number of sequences"):
        write_heldout(folder, {"a": tokens()[0, 0], "b": tokens()[0, 0][:1]})
    write_heldout(folder, {"a": tokens()[0, 0], "b": tokens()[0, 1]})
    corpus = CorpusConfig(**study(folder, run={"steps": 1})["corpus"])
    assert token_domains(corpus) == ["a", "b"]
    write_heldout(folder, tokens()[0, 0][:, :5])
    with pytest.raises(UserError, match=r"sequences have 5 tokens, but those of the run 8"):
        study(folder)


def test_a_record_of_groups_with_different_rates_raises(tmp_path):
    part = tokens()[0, 0]
    folder = recorded(tmp_path, [[part]], heldout=part)
    write_step(folder, 0, RecordedStep([part.int().numpy()], [1e-3, 1e-2], None))
    with pytest.raises(UserError, match=r"learning rates 0.001, 0.01; a study needs one"):
        study(folder)


def test_a_record_of_groups_with_several_weight_decays_raises(tmp_path):
    run, part = Run(), tokens()[0, 0]
    with run.recorder(tmp_path, heldout=part) as record:
        run.train(record, 0, 1)
    write_settings(tmp_path, replace(read_settings(tmp_path), weight_decays=[0.1, 0.2]))
    with pytest.raises(UserError, match=r"weight decays 0.1, 0.2; a study takes one"):
        study(tmp_path)


def test_a_frozen_part_is_not_trained_in_the_study(tmp_path):
    run = Run()
    for name, parameter in run.model.named_parameters():
        parameter.requires_grad_("norm" in name)
    optimizer = torch.optim.AdamW([p for p in run.model.parameters() if p.requires_grad])
    part = tokens()[0, 0]
    with Recorder(tmp_path, run.model, optimizer, heldout=part) as record:
        record.batch(part)
        run.model(input_ids=part, labels=part).loss.backward()
        optimizer.step()
    assert study(tmp_path)["model"]["trainable"] == [
        f"^{re.escape(name)}$"
        for name, parameter in run.model.named_parameters()
        if parameter.requires_grad
    ]
    assert json.loads((tmp_path / "record.json").read_text())["trains_all"] is False


def test_sections_that_the_user_has_changed_stay(folder):
    own = [{"method": "constant", "path": "reference"}]
    result = study(folder, estimators=own, orders__block_sizes=[2, 64])
    assert result["estimators"] == own
    assert result["orders"]["block_sizes"] == [2, 64]
    changed = replaced(config(), curriculum__random=300)["curriculum"]
    assert study(folder, curriculum=changed)["curriculum"] == changed


def test_the_adapters_of_a_recorded_run_are_read(tmp_path):
    llama().save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    options = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}
    module = get_peft_model(base, LoraConfig(**options))
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer, part = torch.optim.AdamW(trained, weight_decay=0.0), tokens()[0, 0]
    with Recorder(tmp_path / "record", module, optimizer, heldout=part) as record:
        record.batch(part)
        module(input_ids=part, labels=part).loss.backward()
        optimizer.step()
    fields = study(tmp_path / "record")["model"]
    assert fields["lora"] == {"rank": 2, "alpha": 4, "targets": ["q_proj", "v_proj"]}
    model = LanguageModel(ModelConfig(**fields), VOCABULARY, LENGTH, 0, torch.float32)
    state = read_checkpoint(tmp_path / "record", 1, model)
    assert torch.equal(state.parameters, torch.cat([p.detach().flatten() for p in trained]))
    assert state.exp_avg.any()
