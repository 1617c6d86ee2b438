"""Pairs become sequences of which the response alone is learnt."""

import json
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from trainorder.config.sections import ModelConfig
from trainorder.data import tokenizer as tokenizers
from trainorder.data.build import build
from trainorder.data.corpus import unmarked
from trainorder.data.packing import ShortfallError
from trainorder.data.pairs import pack_pairs
from trainorder.errors import UserError
from trainorder.training.meter import Meter
from trainorder.training.problem import LanguageProblem

TOKENIZER = tokenizers.train([], 257)  # a token a letter
END = TOKENIZER.end
PLAIN = {"units": 6, "mixed_fraction": 0.0, "warmup_steps": 3}
NEEDED = 6 * 2 // 2 + 3 * 2 // 2 + 4  # pairs of each of two domains: window, warm-up, held-out


def encoded(text):
    return TOKENIZER.encode([text])[0].tolist()


def test_a_sequence_is_prompt_response_end_and_padding():
    found = pack_pairs(["abc", ""], ["de", "f"], (2, 8), TOKENIZER)
    a, b, c, d, e, f = encoded("abcdef")
    pad = ~END
    assert found.sequences.tolist() == [
        [~a, ~b, ~c, d, e, END, pad, pad],
        [pad, f, END, pad, pad, pad, pad, pad],
    ]
    assert (found.documents, found.cut) == (2, 0)
    assert found.sequences.dtype == np.int32


@pytest.mark.parametrize("length", [2, 3, 8, 9])
def test_of_a_pair_that_is_too_long_each_part_keeps_what_the_other_leaves_or_half(length):
    for before in range(13):
        for after in range(1, 13):
            prompt, response = "abcdefghijklm"[:before], "nopqrstuvwxyz"[:after]
            packed = pack_pairs([prompt], [response], (1, length), TOKENIZER)
            row = packed.sequences[0]
            given, learnt = encoded(prompt) or [END], [*encoded(response), END]
            start = int(np.argmax(row >= 0))
            kept = row[start:][row[start:] >= 0].tolist()
            case = f"prompt of {before}, response of {after}, {length} tokens"
            assert start >= 1, f"{case}: nothing stands before the response"
            assert kept, f"{case}: nothing is learnt"
            assert unmarked(row[:start]).tolist() == given[-start:], f"{case}: not the prompt's end"
            assert kept == learnt[: len(kept)], f"{case}: not the response's beginning"
            assert (row[start + len(kept) :] == ~END).all(), f"{case}: padding is something else"
            fits = len(given) + len(learnt) <= length
            assert packed.cut == (not fits), case
            assert (start == len(given) and len(kept) == len(learnt)) == fits, case
            if not fits:
                assert start + len(kept) == length, f"{case}: cut, and padded"
                assert start >= min(len(given), length // 2), f"{case}: the prompt lost too much"
                assert len(kept) >= min(len(learnt), length - length // 2), (
                    f"{case}: the response lost too much"
                )


def test_many_pairs_are_packed_in_their_order():
    texts = [str(number) for number in range(150)]
    found = pack_pairs(texts, texts, (150, 8), TOKENIZER).sequences
    for text, row in zip(texts, found, strict=True):
        assert row[: 2 * len(text)].tolist() == [*(~np.array(encoded(text))), *encoded(text)]


def test_fewer_pairs_than_sequences_fall_short():
    with pytest.raises(ShortfallError) as caught:
        pack_pairs(["a"], ["b"], (2, 8), TOKENIZER)
    assert (caught.value.needed, caught.value.had) == (2, 1)
    assert pack_pairs([], [], (0, 8), TOKENIZER).sequences.shape == (0, 8)


def rows(number):
    """Return pairs of two domains, `number` of each, no two alike; the responses are capitals."""
    return [
        {"question": f"{domain} {i}?", "answer": f"{domain} {i}".upper(), "domain": domain}
        for i in range(number)
        for domain in ("sea", "hill")
    ]


@pytest.fixture
def pairs(config, tmp_path):
    """Return a function that makes the configuration of a file of some pairs."""
    TOKENIZER.save(tmp_path / "letters" / "tokenizer.json")

    def make(number, kind="jsonl"):
        path, there = tmp_path / f"pairs.{kind}", rows(number)
        if kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in there), encoding="utf-8")
        else:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(there), path)
        return replace(
            config,
            files=[str(path)],
            prompt_column="question",
            response_column="answer",
            tokenizer=str(tmp_path / "letters"),
        )

    return make


def texts_of(sequence):
    """Return prompt and response of a sequence that was not cut."""
    parts = [
        unmarked(sequence[mark & (sequence != ~END)]) for mark in (sequence < 0, sequence >= 0)
    ]
    return tuple(TOKENIZER.decode(part.tolist()) for part in parts)


def test_splits_share_no_pair_and_every_pair_is_of_the_source(pairs, window):
    corpus, _, summary = build(pairs(40), replace(window, **PLAIN), 0, {})
    found = {
        name: [texts_of(row) for row in getattr(corpus, name).reshape(-1, 16)]
        for name in ("warmup", "units", "heldout")
    }
    every = [pair for split in found.values() for pair in split]
    assert len(set(every)) == len(every) == 2 * NEEDED, "a pair is in two places"
    assert set(every) <= {(row["question"], row["answer"]) for row in rows(40)}
    for label, unit in zip(corpus.unit_domains, corpus.units, strict=True):
        assert all(texts_of(row)[0].startswith(label) for row in unit), f"not a unit of {label}"
    split = summary["domains"]["sea"]["splits"]["window"]
    expected = sum(len(a) + 1 for q, a in found["units"] if q.startswith("sea"))
    assert (split["learnt_tokens"], split["pairs_cut"]) == (expected, 0)
    assert split["documents_used"] == split["sequences"] == 6


def test_both_kinds_of_file_give_the_same_corpus(pairs, window):
    first, second = (build(pairs(40, kind), window, 0, {})[0] for kind in ("jsonl", "parquet"))
    for name in ("warmup", "units", "heldout"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_every_pair_is_used_before_there_are_too_few(pairs, window):
    plain = replace(window, **PLAIN)
    build(pairs(NEEDED), plain, 0, {})
    with pytest.raises(UserError) as caught:
        build(pairs(NEEDED - 1), plain, 0, {})
    message = str(caught.value)
    assert "corpus: sea: the window part needs" in message
    assert "pairs and has" in message
    assert "sequence_length" not in message, "shorter sequences need no fewer pairs"


def test_a_tokenizer_is_trained_on_prompts_and_responses_of_the_warm_up(pairs, window, monkeypatch):
    seen: list[str] = []
    train = tokenizers.train
    monkeypatch.setattr(tokenizers, "train", lambda t, n: seen.extend(t) or train(seen, n))
    corpus, _, _ = build(replace(pairs(60), tokenizer=None), replace(window, **PLAIN), 0, {})
    there = {row["question"]: row["answer"] for row in rows(60)}
    prompts = {text for text in seen if text in there}
    assert prompts, "no prompt is seen"
    assert {there[prompt] for prompt in prompts} == set(seen) - prompts
    assert len(prompts) < len(there) / 2, "held-out or window pairs are seen, too"
    assert corpus.vocabulary > 257


def test_a_saved_corpus_of_pairs_is_a_problem_of_finite_loss(pairs, window, tmp_path):
    corpus, _, _ = build(pairs(40), window, 0, {})
    corpus.save(tmp_path / "corpus.h5", "key")
    model = vars(ModelConfig(hidden_size=8, intermediate_size=12, layers=1, heads=2))
    problem = LanguageProblem.load(str(tmp_path / "corpus.h5"), Meter(), "key", model, 0, 1)
    theta = problem.model.parameters()
    losses = [*problem.evaluate(theta), *problem.unit_losses(theta)]
    assert np.allclose(losses, np.log(corpus.vocabulary), rtol=0.05), (
        "a new model knows nothing: its loss is that of chance"
    )
    marks = problem.batch(np.arange(7)) < 0
    assert marks[:, 0].all(), "marks are lost on the way to the model"
    assert not marks.all(dim=1).any()
