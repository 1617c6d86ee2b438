"""A tiny LLaMA-style model as a GGUF file in an archive, like that of a package."""

import json
import zipfile

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from trainorder.data import tokenizer as tokenizers

HEADS, KEYS, LAYERS, LENGTH = 2, 1, 2, 64  # query heads, key and value heads
PARTS = {  # names of the weights of a layer: in GGUF, and in transformers
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def tokenizer():
    """Return a small byte-level BPE."""
    return tokenizers.train(["the cat sat on the mat, and the dog sat on the log. " * 9], 300)


def model(vocabulary):
    """Return a model with tied embeddings and fewer key heads than query heads."""
    torch.manual_seed(7)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=16, intermediate_size=24, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=KEYS, max_position_embeddings=LENGTH,
            tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 5e4},
        )
    )  # fmt: skip


def write_archive(path, bpe, llama):
    """Write an archive with a GGUF file that contains the model and the tokenizer."""
    file = path.with_name("tiny.gguf")
    _write(file, bpe, llama)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "raise RuntimeError('the package was imported')")
        archive.write(file, "package/Tiny.F32.gguf")
    file.unlink()


def _write(file, bpe, llama):
    import gguf

    writer, shape = gguf.GGUFWriter(file, "llama"), llama.config
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_rope_freq_base(shape.rope_parameters["rope_theta"])
    writer.add_vocab_size(shape.vocab_size)
    vocabulary = bpe.backend.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    kinds = {True: gguf.TokenType.CONTROL, False: gguf.TokenType.NORMAL}
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds[vocabulary[token] == bpe.end] for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in _merges(bpe)])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(bpe.end)
    for name, tensor in _tensors(llama).items():
        writer.add_tensor(name, tensor.detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _merges(bpe):
    return json.loads(bpe.backend.to_str())["model"]["merges"]


def _tensors(llama):
    weights = llama.state_dict()
    tensors = {
        "token_embd.weight": weights["model.embed_tokens.weight"],
        "output_norm.weight": weights["model.norm.weight"],
    }
    for layer in range(LAYERS):
        for gguf_name, torch_name in PARTS.items():
            weight = weights[f"model.layers.{layer}.{torch_name}.weight"]
            if gguf_name in ("attn_q", "attn_k"):
                weight = _interleaved(weight, HEADS if gguf_name == "attn_q" else KEYS)
            tensors[f"blk.{layer}.{gguf_name}.weight"] = weight
    return tensors


def _interleaved(weight, heads):
    """Return the rows of each head with the two halves of the rotary embedding interleaved."""
    halves = weight.view(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape).contiguous()
