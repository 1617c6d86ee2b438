"""Pairs become sequences; only the response is learnt."""

import json
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from trainorder.config.sections.model import ModelConfig
from trainorder.data import tokenizer as tokenizers
from trainorder.data.build import build
from trainorder.data.corpus import token_numbers
from trainorder.data.packing import ShortfallError
from trainorder.data.pairs import pack_pairs
from trainorder.errors import UserError
from trainorder.training.meter import Meter
from trainorder.training.problem import LanguageProblem

TOKENIZER = tokenizers.train([], 257)  # one token per letter
END = TOKENIZER.end
PLAIN = {"units": 6, "mixed_fraction": 0.0, "warmup_steps": 3}
NEEDED = 6 * 2 // 2 + 3 * 2 // 2 + 4  # pairs per domain: window, warm-up, held-out


def encoded(text):
    return TOKENIZER.encode([text])[0].tolist()


def test_a_sequence_consists_of_prompt_response_end_and_padding():
    packed = pack_pairs(["abc", ""], ["de", "f"], (2, 8), TOKENIZER)
    a, b, c, d, e, f = encoded("abcdef")
    pad = ~END
    assert packed.sequences.tolist() == [
        [~a, ~b, ~c, d, e, END, pad, pad],
        [pad, f, END, pad, pad, pad, pad, pad],
    ]
    assert (packed.documents, packed.cut) == (2, 0)
    assert packed.sequences.dtype == np.int32


@pytest.mark.parametrize("length", [2, 3, 8, 9])
def test_a_long_pair_is_cut_so_that_prompt_and_response_share_the_sequence(length):
    for before in range(13):
        for after in range(1, 13):
            prompt, response = "abcdefghijklm"[:before], "nopqrstuvwxyz"[:after]
            packed = pack_pairs([prompt], [response], (1, length), TOKENIZER)
            row = packed.sequences[0]
            context, learnt = encoded(prompt) or [END], [*encoded(response), END]
            start = int(np.argmax(row >= 0))
            kept = row[start:][row[start:] >= 0].tolist()
            case = f"prompt of {before}, response of {after}, {length} tokens"
            assert start >= 1, f"{case}: no token before the response"
            assert kept, f"{case}: nothing is learnt"
            assert token_numbers(row[:start]).tolist() == context[-start:], (
                f"{case}: not the end of the prompt"
            )
            assert kept == learnt[: len(kept)], f"{case}: not the beginning of the response"
            assert (row[start + len(kept) :] == ~END).all(), f"{case}: wrong padding"
            fits = len(context) + len(learnt) <= length
            assert packed.cut == (not fits), case
            assert (start == len(context) and len(kept) == len(learnt)) == fits, case
            if not fits:
                assert start + len(kept) == length, f"{case}: both cut and padded"
                assert start >= min(len(context), length // 2), (
                    f"{case}: too much of the prompt was cut"
                )
                assert len(kept) >= min(len(learnt), length - length // 2), (
                    f"{case}: too much of the response was cut"
                )


def test_pairs_are_packed_in_sequence():
    texts = [str(number) for number in range(150)]
    sequences = pack_pairs(texts, texts, (150, 8), TOKENIZER).sequences
    for text, row in zip(texts, sequences, strict=True):
        assert row[: 2 * len(text)].tolist() == [*(~np.array(encoded(text))), *encoded(text)]


def test_fewer_pairs_than_sequences_raise_a_shortfall():
    with pytest.raises(ShortfallError) as caught:
        pack_pairs(["a"], ["b"], (2, 8), TOKENIZER)
    assert (caught.value.needed, caught.value.available) == (2, 1)
    assert pack_pairs([], [], (0, 8), TOKENIZER).sequences.shape == (0, 8)


def rows(number):
    """Return `number` different pairs of each of two domains; responses are in capitals."""
    return [
        {"question": f"{domain} {i}?", "answer": f"{domain} {i}".upper(), "domain": domain}
        for i in range(number)
        for domain in ("sea", "hill")
    ]


@pytest.fixture
def pairs(config, tmp_path):
    """Return a function that writes a file of pairs and returns its configuration."""
    TOKENIZER.save(tmp_path / "letters" / "tokenizer.json")

    def make(number, kind="jsonl"):
        path, table = tmp_path / f"pairs.{kind}", rows(number)
        if kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
        else:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
        return replace(
            config,
            files=[str(path)],
            prompt_column="question",
            response_column="answer",
            tokenizer=str(tmp_path / "letters"),
        )

    return make


def texts_of(sequence):
    """Return the prompt and the response of a sequence that was not cut."""
    parts = [
        token_numbers(sequence[mark & (sequence != ~END)]) for mark in (sequence < 0, sequence >= 0)
    ]
    return tuple(TOKENIZER.decode(part.tolist()) for part in parts)


def test_parts_share_no_pair_and_every_pair_is_in_the_source(pairs, window):
    corpus, _, summary = build(pairs(40), replace(window, **PLAIN), 0, {})
    parts = {
        name: [texts_of(row) for row in getattr(corpus, name).reshape(-1, 16)]
        for name in ("warmup", "units", "heldout")
    }
    every = [pair for part in parts.values() for pair in part]
    assert len(set(every)) == len(every) == 2 * NEEDED, "a pair was used twice"
    assert set(every) <= {(row["question"], row["answer"]) for row in rows(40)}
    for label, unit in zip(corpus.unit_domains, corpus.units, strict=True):
        assert all(texts_of(row)[0].startswith(label) for row in unit), (
            f"text of another domain in a unit of {label}"
        )
    counts = summary["domains"]["sea"]["splits"]["window"]
    expected = sum(len(a) + 1 for q, a in parts["units"] if q.startswith("sea"))
    assert (counts["learnt_tokens"], counts["pairs_cut"]) == (expected, 0)
    assert counts["documents_used"] == counts["sequences"] == 6


def test_jsonl_and_parquet_give_the_same_corpus(pairs, window):
    first, second = (build(pairs(40, kind), window, 0, {})[0] for kind in ("jsonl", "parquet"))
    for name in ("warmup", "units", "heldout"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_all_pairs_are_used_before_a_shortfall_is_raised(pairs, window):
    plain = replace(window, **PLAIN)
    build(pairs(NEEDED), plain, 0, {})
    with pytest.raises(UserError) as caught:
        build(pairs(NEEDED - 1), plain, 0, {})
    message = str(caught.value)
    assert "corpus: sea: the window part needs" in message
    assert "pairs and has" in message
    assert "sequence_length" not in message, (
        "the message suggests shorter sequences, which need as many pairs"
    )


def test_a_tokenizer_is_trained_on_prompts_and_responses_of_the_warm_up(pairs, window, monkeypatch):
    seen: list[str] = []
    train = tokenizers.train
    monkeypatch.setattr(tokenizers, "train", lambda t, n: seen.extend(t) or train(seen, n))
    corpus, _, _ = build(replace(pairs(60), tokenizer=None), replace(window, **PLAIN), 0, {})
    answers = {row["question"]: row["answer"] for row in rows(60)}
    prompts = {text for text in seen if text in answers}
    assert prompts, "the tokenizer was not trained on prompts"
    assert {answers[prompt] for prompt in prompts} == set(seen) - prompts
    assert len(prompts) < len(answers) / 2, "the tokenizer was trained on held-out or window pairs"
    assert corpus.vocabulary > 257


def test_the_loss_of_a_new_model_on_pairs_is_that_of_chance(pairs, window, tmp_path):
    corpus, _, _ = build(pairs(40), window, 0, {})
    corpus.save(tmp_path / "corpus.h5", "key")
    model = vars(ModelConfig(hidden_size=8, intermediate_size=12, layers=1, heads=2))
    problem = LanguageProblem.load(
        str(tmp_path / "corpus.h5"), Meter(), "key", model=model, seed=0, threads=1
    )
    theta = problem.model.parameters()
    losses = [*problem.evaluate(theta), *problem.unit_losses(theta)]
    assert np.allclose(losses, np.log(corpus.vocabulary), rtol=0.05), (
        "the loss of a new model differs from ln(vocabulary)"
    )
    context = problem.batch(np.arange(7)) < 0
    assert context[:, 0].all(), "the context tokens were lost"
    assert not context.all(dim=1).any()
