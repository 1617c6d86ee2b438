import json

import numpy as np
import pytest
import transformers

from trainorder.data import tokenizer as tokenizers
from trainorder.errors import UserError

TEXT = ["the quick brown fox jumps over the lazy dog " * 5, "def f(x):\n    return x + 1\n" * 5]


def test_encode_and_decode_round_trip():
    tokenizer = tokenizers.train(TEXT, 300)
    text = "Ünïcode, tabs\t and\n\n  newlines 🙂 \x00"
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text, "a byte has no token"


def test_training_is_deterministic():
    assert (
        tokenizers.train(TEXT, 300).backend.to_str() == tokenizers.train(TEXT, 300).backend.to_str()
    )


def test_the_name_of_a_special_token_is_encoded_as_plain_text():
    tokenizer = tokenizers.train(TEXT, 300)
    (tokens,) = tokenizer.encode([f"a {tokenizers.END_OF_TEXT} b"])
    assert tokenizer.end not in tokens, "text contains the end-of-text token"
    assert tokens.dtype == np.int32


def test_all_tokens_are_below_vocabulary():
    tokenizer = tokenizers.train(TEXT, 280)
    assert tokenizer.vocabulary <= 280
    assert max(tokenizer.encode(TEXT)[0]) < tokenizer.vocabulary


def test_a_loaded_tokenizer_encodes_like_the_saved_one(tmp_path):
    trained = tokenizers.train(TEXT, 300)
    trained.save(tmp_path / "tokenizer.json")
    loaded = tokenizers.load(str(tmp_path))
    assert loaded.end == trained.end
    assert loaded.vocabulary == trained.vocabulary
    assert loaded.encode(TEXT)[1].tolist() == trained.encode(TEXT)[1].tolist()


def test_an_unusable_tokenizer_raises(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot be loaded"):
        tokenizers.load(str(tmp_path))
    trained = tokenizers.train(TEXT, 300)
    named = json.loads(trained.backend.to_str().replace(tokenizers.END_OF_TEXT, "<other>"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(named))
    with pytest.raises(UserError, match="no end-of-text token"):
        tokenizers.load(str(tmp_path))


@pytest.mark.parametrize("kind", ["gpt2", "qwen2", "gpt_neox", "gemma", "bert", "t5", "llama"])
def test_the_folder_of_a_model_without_a_tokenizer_raises(tmp_path, kind):
    """For some models, transformers creates a tokenizer without tokens for text."""
    transformers.AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has no tokenizer.json; .* corpus.tokenizer"):
        tokenizers.load(str(tmp_path))
