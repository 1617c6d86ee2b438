import numpy as np
import pytest

from trainorder.data.packing import ShortfallError, assign, cap, excerpt, pack
from trainorder.data.tokenizer import train

RNG = np.random.default_rng


def test_each_document_is_in_exactly_one_part():
    characters = RNG(0).integers(1, 500, size=200)
    parts = assign(characters, {"heldout": 10, "window": 30, "warmup": 60}, RNG(1))
    every = np.concatenate(list(parts.values()))
    assert sorted(every) == list(range(200)), "a document is in two parts or in none"


def test_parts_get_text_in_proportion_to_their_need():
    characters = RNG(0).integers(1, 500, size=2000)
    needs = {"heldout": 10, "window": 30, "warmup": 60}
    parts = assign(characters, needs, RNG(1))
    ratios = [characters[parts[name]].sum() / need for name, need in needs.items()]
    assert max(ratios) < 1.02 * min(ratios)


def test_a_part_without_need_gets_no_document():
    assert assign(np.ones(5), {"heldout": 1, "warmup": 0}, RNG(0))["warmup"].size == 0


@pytest.mark.parametrize("total", [10, 100, 400, 1000])
def test_cap_is_the_smallest_sufficient_value(total):
    characters = RNG(0).integers(1, 100, size=20)
    c = cap(characters, total, 1)
    if total > characters.sum():
        assert c == characters.max()
    else:
        assert np.minimum(characters, c).sum() >= total
        assert c == 1 or np.minimum(characters, c - 1).sum() < total
    assert cap(characters, total, 50) >= 50


def test_excerpts_consist_of_whole_words_of_the_document():
    text = " ".join(f"word{i}" for i in range(300))
    for place in np.linspace(0, 0.999, 20):
        part = excerpt(text, 100, place)
        assert set(part.split()) <= set(text.split()), "an excerpt cuts a word"
        assert part in text
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
        "a sequence contains text of no document"
    )
    assert packed.documents == 5, "with few documents, each must give an excerpt"


def test_all_text_is_used_before_a_shortfall_is_raised(texts):
    tokenizer = train(texts, 300)
    total = sum(len(tokens) + 1 for tokens in tokenizer.encode(texts))
    packed, _ = _pack(texts, (total // 16, 16))
    assert packed.documents == 5
    with pytest.raises(ShortfallError) as caught:
        _pack(texts, (total // 16 + 1, 16))
    assert caught.value.available == total


def test_zero_sequences_need_no_text():
    assert _pack(["some text"], (0, 8))[0].sequences.shape == (0, 8)
