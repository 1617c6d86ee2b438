"""A poisoned unit has random continuations, a label of its own, and leaves other text as it is."""

from dataclasses import replace

import numpy as np
import pytest

from problems import as_pairs
from trainorder.config.unit_labels import POISONED
from trainorder.data.build import build
from trainorder.data.poison import poisoned
from trainorder.workflow.keys import StudyKeys

TEXT = np.arange(40 * 32, dtype=np.int32).reshape(40, 32) % 500


def test_the_first_half_stays_and_the_second_half_is_random():
    changed = poisoned(TEXT, 500, np.random.default_rng(0))
    assert np.array_equal(changed[:, :16], TEXT[:, :16])
    tokens = changed[:, 16:]
    assert (tokens != TEXT[:, 16:]).mean() > 0.98
    assert tokens.min() >= 0
    assert 225 < tokens.mean() < 275, "not every token is equally likely"
    assert tokens.max() > 490
    assert not np.shares_memory(changed, TEXT)


def test_of_a_pair_only_the_response_is_random():
    pairs = as_pairs(TEXT)
    changed = poisoned(pairs, 500, np.random.default_rng(0))
    assert np.array_equal(changed < 0, pairs < 0)
    assert np.array_equal(changed[pairs < 0], pairs[pairs < 0]), "a prompt or padding is changed"


def test_a_corpus_has_the_poisoned_unit_beside_its_clean_ones(config, window):
    corpus, tokenizer, summary = build(config, replace(window, poisoned=1), 0, {})
    assert corpus.unit_domains.count(POISONED) == summary["units"][POISONED] == 1
    assert corpus.unit_domains.count("mixed") == 2, "mixed units are replaced"
    assert len(corpus.units) == 7
    again = build(config, replace(window, poisoned=1), 0, {})[0]
    assert np.array_equal(corpus.units, again.units)
    unit = corpus.units[corpus.unit_domains.index(POISONED)]
    for sequence, domain in zip(unit, corpus.domains, strict=False):
        text = tokenizer.decode(sequence[:8].tolist())
        assert text.strip(), domain


def test_a_study_without_poison_keeps_its_keys():
    config = {
        "corpus": {}, "window": {"units": 4}, "seeds": {"data": 0}, "model": {}, "optimizer": {},
        "threads": 1, "device": "cpu", "run": None,
    }  # fmt: skip
    keys = [
        StudyKeys.of(config | {"window": {"units": 4} | more})
        for more in ({}, {"poisoned": 0}, {"poisoned": 1})
    ]
    assert keys[0] == keys[1], "files from before the option are not found"
    assert keys[0].corpus != keys[2].corpus


@pytest.mark.parametrize("name", ["mixed", POISONED])
def test_no_domain_is_named_like_a_label(config, window, tmp_path, name):
    text = (tmp_path / "rows.jsonl").read_text().replace('"domain": "sea"', f'"domain": "{name}"')
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(Exception, match=f"a domain is called `{name}`"):
        build(config, window, 0, {})
