"""Keys of later versions leave hashes and file keys alone where they have their default."""

import copy

import pytest

from bench.config_hash import config_hash
from configs import config, replaced
from trainorder.config import later_keys
from trainorder.config.sections.run import RunConfig
from trainorder.config.study_config import Config
from trainorder.workflow.keys import StudyKeys

SET = {  # a value of each key other than its default
    "corpus.txt_documents": "lines",
    "corpus.messages_column": "messages",
    "corpus.token_dtype": "uint16",
    "curriculum.literature": ["balanced"],
    "curriculum.method": "steps",
    "curriculum.retrainings": 12.0,
    "curriculum.fresh": 2,
    "window.poisoned": 1,
    "model.revision": "v1",
    "run.loss_scale": 0.5,
    "optimizer.no_decay": "vectors",
    "optimizer.decay_steps": 4,
    "optimizer.decay_form": "linear",
    "optimizer.rates": [0.1, 0.2],
}
NAMES = [f"{name}.{key}" for name, keys in later_keys._DEFAULTS.items() for key in keys]
DEFAULT = config()
RUN = config(run={"checkpoints": "run", "order": "order.json", "loss_scale": None})


def base(section):
    return RUN if section == "run" else DEFAULT


@pytest.mark.parametrize("name", NAMES)
def test_the_default_of_a_later_key_does_not_count(name):
    section, key = name.split(".")
    default = later_keys._DEFAULTS[section][key]
    typed = parse_run() if section == "run" else getattr(Config(), section)
    assert getattr(typed, key) == default, "the default is another one"
    older = copy.deepcopy(base(section))
    del older[section][key]
    assert config_hash(base(section)) == config_hash(older)
    assert StudyKeys.of(base(section)) == StudyKeys.of(older)


def parse_run():
    return RunConfig(checkpoints="run", order="order.json")


@pytest.mark.parametrize("name", NAMES)
def test_a_later_key_that_is_set_counts(name):
    section, _ = name.split(".")
    changed = replaced(base(section), **{name.replace(".", "__"): SET[name]})
    assert config_hash(changed) != config_hash(base(section))
    if section in ("corpus", "model", "optimizer", "run"):
        assert StudyKeys.of(changed) != StudyKeys.of(base(section))
