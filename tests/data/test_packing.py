import numpy as np
import pytest

from trainorder.data.packing import ShortfallError, assign, cap, excerpt, pack
from trainorder.data.tokenizer import train

RNG = np.random.default_rng


def test_splits_share_no_document_and_leave_none_out():
    characters = RNG(0).integers(1, 500, size=200)
    splits = assign(characters, {"heldout": 10, "window": 30, "warmup": 60}, RNG(1))
    every = np.concatenate(list(splits.values()))
    assert sorted(every) == list(range(200)), "a document is in two splits, or in none"


def test_splits_hold_text_in_proportion_to_need():
    characters = RNG(0).integers(1, 500, size=2000)
    needs = {"heldout": 10, "window": 30, "warmup": 60}
    splits = assign(characters, needs, RNG(1))
    ratios = [characters[splits[name]].sum() / need for name, need in needs.items()]
    assert max(ratios) < 1.02 * min(ratios)


def test_a_split_without_need_gets_no_document():
    assert assign(np.ones(5), {"heldout": 1, "warmup": 0}, RNG(0))["warmup"].size == 0


@pytest.mark.parametrize("total", [10, 100, 400, 1000])
def test_cap_is_the_smallest_that_suffices(total):
    characters = RNG(0).integers(1, 100, size=20)
    c = cap(characters, total, 1)
    if total > characters.sum():
        assert c == characters.max()
    else:
        assert np.minimum(characters, c).sum() >= total
        assert c == 1 or np.minimum(characters, c - 1).sum() < total
    assert cap(characters, total, 50) >= 50


def test_excerpts_are_whole_words_of_the_document():
    text = " ".join(f"word{i}" for i in range(300))
    for place in np.linspace(0, 0.999, 20):
        found = excerpt(text, 100, place)
        assert set(found.split()) <= set(text.split()), "an excerpt cuts a word"
        assert found in text
    assert excerpt("short", 100, 0.7) == "short"


@pytest.fixture
def texts() -> list[str]:
    rng = RNG(0)
    return [" ".join(map(str, rng.integers(0, 999, size=size))) for size in (9, 50, 200, 90, 30)]


def _pack(texts, shape):
    tokenizer = train(texts, 300)
    characters = np.array([len(text) for text in texts])
    numbers = np.arange(len(texts))
    read = lambda chosen: [texts[i] for i in chosen]  # noqa: E731
    return pack(read, numbers, characters, shape, tokenizer, RNG(3)), tokenizer


def test_packed_text_is_the_documents_joined_by_end_of_text(texts):
    packed, tokenizer = _pack(texts, (10, 16))
    assert packed.sequences.shape == (10, 16)
    assert packed.sequences.dtype == np.int32
    text = tokenizer.backend.decode(packed.sequences.ravel().tolist(), skip_special_tokens=False)
    pieces = text.split("<|endoftext|>")
    assert all(any(piece in whole for whole in texts) for piece in pieces), (
        "a sequence holds text that is in no document"
    )
    assert packed.documents == 5, "few documents are all used, none of them whole before the others"


def test_all_text_is_used_before_it_is_found_too_short(texts):
    tokenizer = train(texts, 300)
    total = sum(len(tokens) + 1 for tokens in tokenizer.encode(texts))
    packed, _ = _pack(texts, (total // 16, 16))
    assert packed.documents == 5
    with pytest.raises(ShortfallError) as caught:
        _pack(texts, (total // 16 + 1, 16))
    assert caught.value.had == total


def test_no_sequences_need_no_text():
    assert _pack(["some text"], (0, 8))[0].sequences.shape == (0, 8)
