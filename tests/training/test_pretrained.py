"""Pretrained models: which files are read and which parameters are trained."""

import json

import huggingface_hub
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from problems import relative_error, taylor_rows
from trainorder.config.sections.model import ModelConfig
from trainorder.errors import UserError
from trainorder.numerics.derivatives import gradient
from trainorder.training import pretrained
from trainorder.training.model import LanguageModel, next_token_loss

VOCABULARY, LENGTH = 13, 7
LORA = {"rank": 2, "alpha": 4, "targets": ["q_proj", "v_proj"]}


def llama():
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=16,
        )
    )  # fmt: skip


def gpt2():
    """Return a model with dropout, biases and learned positions."""
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=8, n_layer=1, n_head=2, n_positions=16)
    )


@pytest.fixture(scope="module", params=[llama, gpt2], ids=["llama", "gpt2"])
def folder(request, tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("model")
    request.param().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("llama")
    llama().save_pretrained(path)
    return path


def loaded(folder, vocabulary=VOCABULARY, length=LENGTH, dtype=torch.float64, seed=0, **fields):
    config = ModelConfig(
        hidden_size=2, intermediate_size=1, layers=1, heads=1, source=str(folder), **fields
    )
    return LanguageModel(config, vocabulary, length, seed, dtype)


@pytest.fixture
def tokens():
    return torch.randint(VOCABULARY, (5, LENGTH), generator=torch.Generator().manual_seed(1))


def test_the_loss_equals_that_of_the_saved_model_without_dropout(folder, tokens):
    model = loaded(folder, dtype=torch.float32)
    saved = type(model.module).from_pretrained(folder).eval()
    with torch.no_grad():
        expected = next_token_loss(saved(tokens).logits, tokens)
        found = model.loss(model.parameters(), tokens)
    assert torch.allclose(found, expected, atol=1e-6), "the weights differ from the saved ones"
    assert torch.equal(found, model.loss(model.parameters(), tokens)), "dropout is on"


def test_second_derivatives_equal_those_of_autograd(folder, tokens):
    model = loaded(folder)
    theta = model.parameters()
    d = 0.01 * torch.randn(1, model.size, dtype=theta.dtype)
    found = taylor_rows(lambda x: model.loss(x, tokens), theta, d, 1)

    def slope(x):
        return model.loss(x, tokens)

    hvp = torch.autograd.functional.hvp(slope, theta, d[0])[1]
    error = relative_error(found[0], gradient(slope, theta) + hvp)
    assert error < 1e-6, f"the error {error:.1e} exceeds that of norms in single precision"


def test_only_parameters_that_match_a_pattern_are_trained(llama_folder, tokens):
    model = loaded(llama_folder, trainable=[r"layers\.1\.mlp", "norm"])
    names = [n for n, p in model.module.named_parameters() if p.requires_grad]
    assert names
    assert all("layers.1.mlp" in name or "norm" in name for name in names)
    assert model.size == sum(parameter.numel() for parameter in model.trained)
    frozen = model.module.model.embed_tokens.weight.clone()
    model.load(model.parameters() + 1)
    assert torch.equal(frozen, model.module.model.embed_tokens.weight), "a frozen parameter changed"
    assert torch.isfinite(gradient(lambda x: model.loss(x, tokens), model.parameters())).all()


def test_only_adapters_are_trained_and_their_initial_effect_is_zero(llama_folder, tokens):
    plain, adapted = loaded(llama_folder), loaded(llama_folder, lora=LORA)
    assert all("lora_" in n for n, p in adapted.module.named_parameters() if p.requires_grad)
    assert adapted.size == 2 * 2 * 2 * (8 + 8) - 2 * 2 * 4, "r (in + out) for q and v of two layers"
    with torch.no_grad():
        found = adapted.loss(adapted.parameters(), tokens)
        assert torch.allclose(found, plain.loss(plain.parameters(), tokens))
    slope = gradient(lambda x: adapted.loss(x, tokens), adapted.parameters())
    assert slope.any(), "the gradient of the adapters is zero"


@pytest.mark.parametrize("fields", [{}, {"trainable": ["norm"]}, {"lora": LORA}])
def test_the_size_is_known_without_loading_the_weights(llama_folder, fields):
    with torch.device("meta"):
        assert loaded(llama_folder, **fields).size == loaded_size(llama_folder, fields)


def loaded_size(folder, fields):
    with torch.device("cpu"):
        return loaded(folder, **fields).size


def test_adapters_are_the_same_for_the_same_seed(llama_folder):
    first, second = (loaded(llama_folder, lora=LORA).parameters() for _ in range(2))
    assert torch.equal(first, second)


def test_a_folder_without_a_model_raises(tmp_path):
    with pytest.raises(UserError, match=r"^model.source: .*: cannot be loaded: it has no config.j"):
        loaded(tmp_path)


@pytest.fixture
def configuration(folder, tmp_path):
    """Return a folder with the configuration of a model and no weights."""
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    return tmp_path


NEW = "ignore:.*no weights; a new model:UserWarning"


@pytest.mark.filterwarnings(NEW)
@pytest.mark.parametrize("fields", [{}, {"trainable": ["norm|ln"]}])
def test_a_configuration_without_weights_gives_a_new_model_that_depends_on_the_seed(
    configuration, folder, fields, tokens
):
    first, again, other = (loaded(configuration, seed=seed, **fields) for seed in (1, 1, 2))
    for parameter, repeated in zip(
        first.module.parameters(), again.module.parameters(), strict=True
    ):
        assert torch.equal(parameter, repeated)
    assert first.size == loaded(folder, **fields).size
    vectors = [torch.cat([p.flatten() for p in m.module.parameters()]) for m in (first, other)]
    assert not torch.equal(*vectors)
    assert first.module.config._attn_implementation == "eager"
    assert torch.equal(*(first.loss(first.parameters(), tokens) for _ in range(2))), "dropout is on"
    with torch.device("meta"):
        assert loaded(configuration, **fields).size == first.size


def test_a_new_model_raises_a_warning(configuration):
    with pytest.warns(UserWarning, match="no weights; a new model is created from config.json"):
        loaded(configuration)


@pytest.mark.filterwarnings(NEW)
def test_a_new_model_is_initialized_in_float32_whatever_its_configuration_says(configuration):
    plain = loaded(configuration).parameters()
    rewrite(configuration / "config.json", dtype="bfloat16")
    assert torch.equal(loaded(configuration).parameters(), plain)


def rewrite(path, **fields):
    """Change fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def name_nothing(folder):
    (folder / "weights").rename(folder / "pytorch_model.bin")


def name_in_the_configuration(folder):
    (folder / "weights").rename(folder / "adapter_model.bin")
    rewrite(folder / "config.json", transformers_weights="adapter_model.bin")


def name_in_an_index(folder):
    (folder / "weights").rename(folder / "part.bin")
    names = torch.load(folder / "part.bin")
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, "part.bin")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", [name_nothing, name_in_the_configuration, name_in_an_index])
def test_pickled_weights_are_not_read(configuration, folder, name):
    torch.save(loaded(folder).module.state_dict(), configuration / "weights")
    name(configuration)
    with pytest.raises(UserError, match=r"^model.source: .*: cannot be loaded: [^\n]*safetensors"):
        loaded(configuration)
    assert torch.load.__module__ == "torch.serialization"


def test_incomplete_weights_raise(tmp_path):
    """Transformers would initialize the missing weights randomly."""
    model = llama()
    model.save_pretrained(tmp_path)
    rewrite(tmp_path / "config.json", num_hidden_layers=3)
    with pytest.raises(UserError, match=r"weights missing: model.layers.2.[a-z_.]*; [^\n]*$"):
        loaded(tmp_path)


ADAPTERS = (
    r"^model.source: .*: cannot be loaded: adapter_config.json: it contains adapters; [^\n]*$"
)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_folder_of_adapters_raises(llama_folder, tmp_path, device):
    adapted = loaded(llama_folder, lora=LORA).module
    adapted.save_pretrained(tmp_path)
    with torch.device(device), pytest.raises(UserError, match=ADAPTERS):
        loaded(tmp_path)
    llama().save_pretrained(tmp_path)  # a model in the same folder changes nothing
    with torch.device(device), pytest.raises(UserError, match=ADAPTERS):
        loaded(tmp_path)


def test_adapters_on_the_hub_raise(monkeypatch):
    requests = []
    monkeypatch.setattr(
        "transformers.utils.peft_utils.cached_file",
        lambda name, file, **_: requests.append((name, file)) or f"/cache/{file}",
    )
    with pytest.raises(UserError, match=ADAPTERS):
        loaded("someone/adapters")
    assert requests == [("someone/adapters", "adapter_config.json")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocabulary": VOCABULARY + 1}, "vocabulary has 13 tokens, but the corpus needs 14"),
        ({"length": 17}, "accepts at most 16 tokens, but a sequence has 17"),
        ({"trainable": ["no_such"]}, "model.trainable: `no_such` matches no parameter"),
        ({"lora": {**LORA, "targets": ["no_such"]}}, "model.lora.targets: "),
    ],
    ids=["tokens", "length", "pattern", "target"],
)
def test_settings_that_do_not_fit_the_model_raise_one_line(llama_folder, fields, message):
    with pytest.raises(UserError, match=message) as error:
        loaded(llama_folder, **fields)
    assert "\n" not in str(error.value)


COMMITS = {"main": "a" * 40, "v2": "b" * 40}


@pytest.fixture
def cached_model(tmp_path, monkeypatch):
    """Return the name of a model in a cache of the hub, whose branches have different weights."""
    repository = tmp_path / "models--maker--model"
    (repository / "refs").mkdir(parents=True)
    for seed, (branch, commit) in enumerate(COMMITS.items()):
        torch.manual_seed(seed)
        llama().save_pretrained(repository / "snapshots" / commit)
        (repository / "refs" / branch).write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return "maker/model"


@pytest.mark.parametrize("revision", [None, "v2", COMMITS["v2"]])
def test_the_commit_of_a_model_on_the_hub_is_that_of_the_loaded_weights(
    cached_model, revision, tmp_path
):
    expected = revision if revision in COMMITS.values() else COMMITS[revision or "main"]
    model = loaded(cached_model, revision=revision)
    assert model.commit == expected
    snapshot = loaded(tmp_path / "models--maker--model/snapshots" / expected)
    assert torch.equal(model.parameters(), snapshot.parameters()), "another commit was loaded"
    assert snapshot.commit is None, "a local folder has no commit"


def test_the_commit_that_is_recorded_is_loaded_even_if_the_branch_moves(cached_model, monkeypatch):
    """Weights are requested by the commit, not by the name of the branch."""
    plain, seen = AutoModelForCausalLM.from_pretrained, []

    def loader(source, revision, **options):
        seen.append((source, revision))
        return plain(source, revision=revision, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", loader)
    _, commit = pretrained.load(cached_model, ModelConfig(source=cached_model, revision="v2"), 0)
    assert seen == [(cached_model, COMMITS["v2"])]
    assert commit == COMMITS["v2"]


def test_a_revision_that_is_not_in_the_cache_raises_one_line(cached_model):
    with pytest.raises(UserError, match=r"^model.source: maker/model: .*cannot be loaded"):
        loaded(cached_model, revision="v3")
