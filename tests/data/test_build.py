import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainorder.data import tokenizer as tokenizers
from trainorder.data.build import Corpus, build
from trainorder.errors import UserError


def decoded(tokenizer, sequences):
    return tokenizer.decode(np.asarray(sequences).ravel())


def test_shapes_follow_the_configuration(config, window):
    corpus, tokenizer, _ = build(config, window, 0, {})
    assert corpus.domains == ["sea", "hill", "town"]
    assert corpus.warmup.shape == (5 * 2, 16)
    assert corpus.units.shape == (7, 2, 16)
    assert corpus.heldout.shape == (3, 4, 16)
    assert sorted(corpus.unit_domains) == ["hill", "hill", "mixed", "mixed", "sea", "sea", "town"]
    assert corpus.vocabulary == tokenizer.vocabulary <= 300
    for array in (corpus.warmup, corpus.units, corpus.heldout):
        assert array.dtype == np.int32
        assert array.max() < corpus.vocabulary


def test_a_unit_contains_only_text_of_its_domain(config, window, words):
    corpus, tokenizer, _ = build(config, window, 0, {})
    for label, unit in zip(corpus.unit_domains, corpus.units, strict=True):
        text = decoded(tokenizer, unit)
        for domain, domain_words in words.items():
            if label not in ("mixed", domain):
                assert not any(word in text for word in domain_words), (
                    f"{domain} in a unit of {label}"
                )
    for index, domain in enumerate(corpus.domains):
        text = decoded(tokenizer, corpus.heldout[index])
        assert any(word in text for word in words[domain]), (
            f"the held-out text of {domain} is of another domain"
        )


def test_mixed_units_take_sequences_of_all_domains_in_turn(config, window, words):
    wide = replace(window, unit_size=3, mixed_fraction=1.0)
    corpus, tokenizer, _ = build(replace(config, sequence_length=48), wide, 0, {})
    assert corpus.unit_domains == ["mixed"] * 7
    for unit in corpus.units:
        for sequence, domain in zip(unit, corpus.domains, strict=True):
            text = decoded(tokenizer, sequence)
            assert any(word in text for word in words[domain])
            others = {word for other in words if other != domain for word in words[other]}
            assert not any(word in text for word in others), (
                f"text of another domain in a sequence of {domain}"
            )


def test_parts_share_no_document(config, window):
    corpus, tokenizer, _ = build(config, window, 0, {})
    rows = [json.loads(line)["text"] for line in Path(config.files[0]).read_text().splitlines()]

    def sources(sequence) -> set[int]:
        text = tokenizer.backend.decode(sequence.tolist(), skip_special_tokens=False)
        piece = max(text.split(tokenizers.END_OF_TEXT), key=len)
        return {i for i, row in enumerate(rows) if piece in row} if len(piece) >= 14 else set()

    heldout, units, warmup = (
        set().union(*(sources(sequence) for sequence in part.reshape(-1, 16)))
        for part in (corpus.heldout, corpus.units, corpus.warmup)
    )
    assert min(map(len, (heldout, units, warmup))) >= 3
    shared = (heldout & units) | (heldout & warmup) | (units & warmup)
    assert not shared, "a document is in two parts"


def test_the_tokenizer_is_not_trained_on_held_out_or_window_text(config, window, monkeypatch):
    seen: list[str] = []
    original = tokenizers.train

    def spy(texts, vocabulary):
        seen.extend(texts)
        return original(seen, vocabulary)

    monkeypatch.setattr(tokenizers, "train", spy)
    corpus, tokenizer, _ = build(config, window, 0, {})
    every = "\n".join(seen)
    for name, sequences in (("held-out", corpus.heldout), ("window", corpus.units)):
        for sequence in sequences.reshape(-1, 16):
            text = tokenizer.backend.decode(sequence.tolist(), skip_special_tokens=False)
            longest = max(text.split(tokenizers.END_OF_TEXT), key=len)
            assert longest not in every, f"the tokenizer was trained on {name} text"


def test_build_is_deterministic_to_the_byte(config, window, tmp_path):
    """Processes with different hash seeds and thread counts write the same files."""
    code = (
        "import sys, json; from trainorder.config.sections.corpus import CorpusConfig;"
        "from trainorder.config.sections.window import WindowConfig;"
        "from trainorder.data.build import build;"
        "c, w, out = json.loads(sys.argv[1]);"
        "corpus, tokenizer, summary = build(CorpusConfig(**c), WindowConfig(**w), 3, {});"
        "corpus.save(out + '.h5', 'k'); tokenizer.save(out + '.json');"
        "print(json.dumps(summary)); assert 'torch' not in sys.modules, 'torch was imported'"
    )
    printed = []
    for run in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": run, "RAYON_NUM_THREADS": run}
        argument = json.dumps([vars(config), vars(window), str(tmp_path / run)])
        done = subprocess.run(
            [sys.executable, "-c", code, argument], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    for suffix in (".h5", ".json"):
        first, second = ((tmp_path / f"{run}{suffix}").read_bytes() for run in "12")
        assert first == second, f"{suffix} depends on the hash seed, threads or time"


def test_another_seed_gives_another_corpus(config, window):
    first, second = (build(config, window, seed, {})[0] for seed in (0, 1))
    assert first.units.tolist() != second.units.tolist()


def test_a_domain_does_not_change_the_text_of_another(config, window, tmp_path):
    """Each domain has its own random generator."""
    tokenizers.train(["fixed"], 300).save(tmp_path / "tokenizer" / "tokenizer.json")
    fixed = replace(config, tokenizer=str(tmp_path / "tokenizer"))
    plain = replace(window, units=6, mixed_fraction=0.0, warmup_steps=6)
    both = build(replace(fixed, domains=["sea", "hill"]), plain, 0, {})[0]
    half = replace(plain, units=3, warmup_steps=3)
    alone = build(replace(fixed, domains=["sea"]), half, 0, {})[0]
    assert both.heldout[0].tolist() == alone.heldout[0].tolist()


def test_zero_warm_up_steps(config, window):
    corpus, _, summary = build(config, replace(window, warmup_steps=0), 0, {})
    assert corpus.warmup.shape == (0, 16)
    assert corpus.vocabulary > 257, "the tokenizer was trained without text"
    assert summary["domains"]["sea"]["splits"]["warmup"]["tokens"] == 0


def test_save_and_load_round_trip(config, window, tmp_path):
    corpus, _, _ = build(config, replace(window, warmup_steps=0), 0, {})
    corpus.save(tmp_path / "corpus.h5", "key")
    loaded = Corpus.load(tmp_path / "corpus.h5", "key")
    assert (loaded.domains, loaded.unit_domains) == (corpus.domains, corpus.unit_domains)
    assert loaded.vocabulary == corpus.vocabulary
    for name in ("warmup", "units", "heldout"):
        assert np.array_equal(getattr(loaded, name), getattr(corpus, name))
        assert getattr(loaded, name).dtype == np.int32
    with pytest.raises(UserError, match="rerun rule `corpus`"):
        Corpus.load(tmp_path / "corpus.h5", "other")


@pytest.mark.parametrize(
    ("corpus_changes", "window_changes", "part", "key"),
    [
        ({}, {"units": 3000}, "window", "window.units"),
        ({}, {"warmup_steps": 30000}, "warmup", "window.warmup_steps"),
        ({"heldout_sequences": 9000}, {}, "heldout", "corpus.heldout_sequences"),
        ({"heldout_sequences": 2000}, {"units": 30000}, "heldout", "window.units"),
    ],
)
def test_too_little_text_raises_with_domain_part_and_key(
    config, window, corpus_changes, window_changes, part, key
):
    with pytest.raises(UserError) as caught:
        build(replace(config, **corpus_changes), replace(window, **window_changes), 0, {})
    message = str(caught.value)
    assert f"corpus: sea: the {part} part needs" in message
    assert f"lower {key}" in message
    assert "(documents: " in message


def test_the_summary_lists_the_file_of_each_domain(config, window, tmp_path):
    rows = [json.loads(line) for line in Path(config.files[0]).read_text().splitlines()]
    files = []
    for domain in ("sea", "hill"):
        texts = [row["text"] for row in rows if row["domain"] == domain]
        (tmp_path / f"{domain}.txt").write_text("\n\n".join(texts))
        files.append(str(tmp_path / f"{domain}.txt"))
    _, _, summary = build(replace(config, files=files), window, 0, {})
    assert [summary["domains"][domain]["from"] for domain in ("sea", "hill")] == [
        [files[0]],
        [files[1]],
    ]


def test_the_summary_counts_tokens_and_documents(config, window):
    corpus, _, summary = build(config, window, 0, {})
    parts = [summary["domains"][domain]["splits"] for domain in corpus.domains]
    assert sum(part["warmup"]["tokens"] for part in parts) == corpus.warmup.size
    assert sum(part["window"]["tokens"] for part in parts) == corpus.units.size
    assert sum(part["heldout"]["tokens"] for part in parts) == corpus.heldout.size
    assert sum(part[name]["documents"] for part in parts for name in part) == 180
    assert sum(summary["units"].values()) == 7
    json.dumps(summary, allow_nan=False)


def test_other_held_out_text_shares_no_sequence_and_changes_nothing_else(config, window):
    (plain, *_), (other, *_) = (
        build(config, window, 0, {}, other_heldout=changed) for changed in (False, True)
    )
    for name in ("warmup", "units", "unit_domains", "domains", "vocabulary"):
        assert np.array_equal(getattr(plain, name), getattr(other, name)), f"{name} changes"
    sequences = [set(map(bytes, one.heldout.reshape(-1, 16))) for one in (plain, other)]
    assert len(sequences[0]) == len(sequences[1]) == 12
    assert not sequences[0] & sequences[1], "the same text is evaluated again"
