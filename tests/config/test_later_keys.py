"""Keys of later versions leave hashes and file keys alone where they have their default."""

import pytest

from configs import config
from trainorder.config import later_keys
from trainorder.config.config_hash import config_hash
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
    "optimizer.no_decay": "vectors",
    "optimizer.decay_steps": 4,
    "optimizer.decay_form": "linear",
    "optimizer.rates": [0.1, 0.2],
}
NAMES = [f"{name}.{key}" for name, keys in later_keys._DEFAULTS.items() for key in keys]
DEFAULT = config()


def changed(name):
    return config(**{name.replace(".", "__"): SET[name]})


@pytest.mark.parametrize("name", NAMES)
def test_the_default_of_a_later_key_does_not_count(name):
    section, key = name.split(".")
    default = later_keys._DEFAULTS[section][key]
    assert getattr(getattr(Config(), section), key) == default, "the default is another one"
    older = config()
    del older[section][key]
    assert config_hash(DEFAULT) == config_hash(older)
    assert StudyKeys.of(DEFAULT) == StudyKeys.of(older)


@pytest.mark.parametrize("name", NAMES)
def test_a_later_key_that_is_set_counts(name):
    assert config_hash(changed(name)) != config_hash(DEFAULT)
    if name.startswith(("corpus.", "optimizer.")):
        assert StudyKeys.of(changed(name)) != StudyKeys.of(DEFAULT)
