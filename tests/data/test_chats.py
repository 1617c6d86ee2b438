"""Chats become sequences through the chat template; only assistant messages are learnt."""

import json
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from configs import config as whole_config
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.study_config import parse
from trainorder.data import tokenizer as tokenizers
from trainorder.data.build import build
from trainorder.data.chats import encode_chat, pack_chats
from trainorder.data.corpus import token_numbers
from trainorder.data.documents import documents
from trainorder.data.messages import messages_text
from trainorder.data.packing import ShortfallError
from trainorder.data.text_counts import TextCounts
from trainorder.errors import UserError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKED = (  # the template itself states what is learnt
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ m['content'] }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BRACKETS = (  # of Llama 2 and Mistral: no prompt of a generation, blanks, an end after each answer
    "<s>{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] | trim }} </s>"
    "{% else %}{{ raise_exception('no ' + m['role']) }}{% endif %}{% endfor %}"
)
THINKING = (  # of Qwen3: the last answer has what the earlier ones lack
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REWRITTEN = "{{ messages | length }}{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
SHORTENED = (  # earlier answers lose their first letter
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'] if loop.last or m['role'] != 'assistant' else m['content'][1:] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NEXT_ROLE = (  # of GLM: an answer ends where the next role begins
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
RESTARTED = (  # of Llama 2: each turn begins with a token of its own
    "{% for m in messages %}{% if m['role'] == 'user' %}<s>[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }} </s>{% endif %}{% endfor %}"
)
CALLING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] + '\n' + m['content'] }}"
    "{% if 'tool_calls' in m %}{{ m['tool_calls'] | length }} calls{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CALLING_THINKING = CALLING.replace(
    "{{ m['role'] + '\n'", "{{ m['role'] + loop.last | string + '\n'"
)
MARKED_CALLING = (  # shows tool calls, if any, and states what is learnt
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<|im_start|>assistant\n"
    "{% generation %}{{ m['content'] }}{% for c in m['tool_calls'] or [] %}{{ c['name'] }}"
    "{% endfor %}<|im_end|>{% endgeneration %}"
    "{% else %}<|im_start|>{{ m['role'] + '\n' + m['content'] }}<|im_end|>{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DATED = "{{ strftime_now('%d %b %Y') }}" + CHATML
SPECIAL = ["<|im_start|>", "<|im_end|>", "<s>", "</s>"]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "yes or no?"},
    {"role": "assistant", "content": "no"},
    {"role": "user", "content": "really 🙂?"},
    {"role": "assistant", "content": "yes 🙂"},
]

CALLS = [
    CHAT[1],
    {"role": "assistant", "content": "", "tool_calls": [{"name": "sum"}]},
    {"role": "tool", "content": "3"},
    CHAT[4],
]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Return a function that returns the tokenizer of one token per byte with a chat template."""

    def make(template):
        folder = tmp_path_factory.mktemp("tokenizer")
        backend = tokenizers.train([], 257).backend
        wrapped = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")
        wrapped.add_special_tokens({"additional_special_tokens": SPECIAL})
        wrapped.chat_template = template
        wrapped.save_pretrained(folder)
        return tokenizers.load(str(folder)), folder

    return make


def spelt(tokenizer, tokens):
    return tokenizer.backend.decode(np.asarray(tokens).tolist(), skip_special_tokens=False)


def learnt_texts(tokenizer, messages):
    """Return the whole text of a chat, and each run of learnt tokens as text."""
    tokens, learnt = encode_chat(messages, tokenizer)
    runs = np.split(np.arange(len(tokens)), np.flatnonzero(np.diff(learnt)) + 1)
    return spelt(tokenizer, tokens), [spelt(tokenizer, tokens[r]) for r in runs if learnt[r[0]]]


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        (CHATML, ["no<|im_end|>", "yes 🙂<|im_end|>"]),
        (MARKED, ["no<|im_end|>", "yes 🙂<|im_end|>"]),
        (DATED, ["no<|im_end|>", "yes 🙂<|im_end|>"]),
        (THINKING, ["no<|im_end|>", "<think>\n\n</think>\n\nyes 🙂<|im_end|>"]),
        (BRACKETS, [" no </s>", " yes 🙂 </s>"]),
        (RESTARTED, [" no </s>", " yes 🙂 </s>"]),
        (NEXT_ROLE, ["no<|im_start|>", "yes 🙂"]),
    ],
    ids=["chatml", "marked", "dated", "thinking", "brackets", "restarted", "next role"],
)
def test_what_the_model_would_generate_is_learnt_in_every_turn(load, template, answers):
    tokenizer, _ = load(template)
    messages = CHAT[1:] if template in (BRACKETS, RESTARTED) else CHAT
    text, learnt = learnt_texts(tokenizer, messages)
    assert text == tokenizer.render(messages), "the chat is not the text of its template"
    assert learnt == answers, "a question is learnt, or a part of an answer is not"


def test_special_tokens_of_the_template_are_single_tokens(load):
    tokenizer, _ = load(CHATML)
    tokens, _ = encode_chat(CHAT, tokenizer)
    number = tokenizer.backend.token_to_id("<|im_end|>")
    assert (tokens == number).sum() == len(CHAT)
    tokenizer.encode(["plain"])
    again, _ = encode_chat(CHAT, tokenizer)
    assert np.array_equal(tokens, again), "the encoding depends on what was encoded before"


def test_an_answer_that_repeats_the_question_is_learnt_once(load):
    tokenizer, _ = load(THINKING)
    messages = [
        {"role": role, "content": "same"} for role in ("user", "assistant", "user", "assistant")
    ]
    text, learnt = learnt_texts(tokenizer, messages)
    assert learnt == ["same<|im_end|>", "<think>\n\n</think>\n\nsame<|im_end|>"]
    assert text.index("assistant\nsame") > text.index("user\nsame")


@pytest.mark.parametrize("answer", ["s", "t", "a", "user", "assistant", "im", "1", " no "])
@pytest.mark.parametrize("question", ["s", "assistant", "is it?"])
def test_a_short_answer_is_not_sought_in_the_text_around_it(load, answer, question):
    tokenizer, _ = load(THINKING)
    messages = [
        {"role": role, "content": content}
        for content in (answer, "s")
        for role, content in (("user", question), ("assistant", content))
    ]
    _, learnt = encode_chat(messages, tokenizer)
    header = "<|im_start|>assistant\n"
    first = f"<|im_start|>user\n{question}<|im_end|>\n{header}"
    place = len(tokenizer.backend.encode(first, add_special_tokens=False).ids)
    assert not learnt[:place].any(), "a part of the question or of the header is learnt"
    _, learnt = learnt_texts(tokenizer, messages)
    assert learnt == [f"{answer}<|im_end|>", "<think>\n\n</think>\n\ns<|im_end|>"]


def test_a_chat_that_begins_with_its_answer_has_context_before_it(load):
    tokenizer, _ = load("{% for m in messages %}{{ m['content'] }}</s>{% endfor %}")
    tokens, learnt = encode_chat([{"role": "assistant", "content": "hello"}], tokenizer)
    assert tokens[0] == tokenizer.end
    assert learnt.tolist() == [False] + [True] * 6, "the first token is never predicted"


def test_a_date_in_the_template_does_not_depend_on_the_day(load):
    tokenizer, _ = load(DATED)
    assert tokenizer.render(CHAT).startswith("26 Jul 2024")


def test_a_message_that_only_calls_tools_is_learnt_and_filled_in_keys_are_not_seen(load):
    tokenizer, _ = load(CALLING)
    rows = [
        {"role": "user", "content": "add", "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "sum"}]},
        {"role": "tool", "content": "3", "tool_calls": None},
        {"role": "assistant", "content": "three", "tool_calls": None},
    ]
    messages = json.loads(messages_text("row 0", rows, "messages"))
    text, learnt = learnt_texts(tokenizer, messages)
    assert learnt == ["1 calls<|im_end|>", "three<|im_end|>"]
    assert "None" not in text


def test_tool_calls_that_a_template_with_marks_shows_are_learnt(load):
    _, learnt = learnt_texts(load(MARKED_CALLING)[0], CALLS)
    assert learnt == ["sum<|im_end|>", "yes 🙂<|im_end|>"]


UNLEARNT = ({"weight": 0}, {"weight": 0.0}, {"train": False})


@pytest.mark.parametrize("key", UNLEARNT, ids=str)
@pytest.mark.parametrize(
    "template",
    [CHATML, MARKED, THINKING, BRACKETS],
    ids=["chatml", "marked", "thinking", "brackets"],
)
def test_answers_with_weight_0_are_context_and_the_others_are_learnt(load, template, key):
    tokenizer, _ = load(template)
    plain = CHAT[1:]
    _, both = learnt_texts(tokenizer, plain)
    for number, kept in ((1, both[1:]), (3, both[:1])):
        rows = [{**m, **(key if i == number else {})} for i, m in enumerate(plain)]
        messages = json.loads(messages_text("row 0", rows, "messages"))
        text, learnt = learnt_texts(tokenizer, messages)
        assert text == tokenizer.render(plain), "the weight changed the text"
        assert learnt == kept, "an answer with weight 0 is learnt, or another one is not"


def test_a_first_message_with_weight_0_is_not_learnt(load):
    for template in (CHATML, MARKED):
        _, learnt = learnt_texts(load(template)[0], [{**CHAT[2], "weight": 0}, *CHAT[3:]])
        assert learnt == ["yes 🙂<|im_end|>"]


def test_a_beginning_of_text_is_not_added_to_that_of_the_template(load):
    tokenizer, folder = load("<s>" + CHATML)
    backend = tokenizer.backend
    begin = ("<s>", backend.token_to_id("<s>"))
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[begin])
    backend.save(str(folder / "tokenizer.json"))
    tokens, _ = encode_chat(CHAT, tokenizers.load(str(folder)))
    assert (tokens == begin[1]).sum() == 1


@pytest.mark.parametrize("length", [8, 16, 33, 200])
def test_a_long_chat_keeps_its_first_answer(load, length):
    tokenizer, _ = load(CHATML)
    chats = [CHAT, [{"role": "user", "content": "w" * 60}, CHAT[2]]]
    packed = pack_chats([json.dumps(chat) for chat in chats], (2, length), tokenizer)
    for row, chat in zip(packed.sequences, chats, strict=True):
        tokens, learnt = encode_chat(chat, tokenizer)
        assert row[0] < 0, "the first token is never predicted"
        assert (row >= 0).any(), "nothing is learnt"
        kept = token_numbers(row)[: min(length, len(tokens))]
        starts = [i for i in range(len(tokens)) if np.array_equal(tokens[i : i + len(kept)], kept)]
        assert len(starts) >= 1, "not a part of the chat"
        assert np.array_equal(row[: len(kept)] >= 0, learnt[starts[0] : starts[0] + len(kept)])
        assert (row[len(kept) :] == ~tokenizer.end).all(), "wrong padding"
    lengths = [len(encode_chat(chat, tokenizer)[0]) for chat in chats]
    assert packed.cut == sum(n > length for n in lengths)


def test_fewer_chats_than_sequences_raise_a_shortfall(load):
    with pytest.raises(ShortfallError):
        pack_chats([json.dumps(CHAT)], (2, 8), load(CHATML)[0])


WRONG = {  # a template, messages, and a part of the error message
    "no template": (None, CHAT, "the tokenizer has no chat template"),
    "rejected": (BRACKETS, CHAT, "that begins with 'Be brief.': rejected by the chat template: no"),
    "rewritten": (REWRITTEN, CHAT, "the chat template changes the text of message 2"),
    "shortened": (SHORTENED, CHAT, "the chat template changes the text of message 2"),
    "rewritten calls": (
        CALLING_THINKING,
        CALLS,
        "so the tool calls of message 1 cannot be located",
    ),
    "hidden calls": (CHATML, CALLS, "does not show the tool calls of message 1; use a template"),
    "hidden calls with marks": (MARKED, CALLS, "does not show the tool calls of message 1"),
    "hidden calls beside a text": (
        CHATML,
        [CHAT[1], {**CALLS[1], "content": "I add."}, *CALLS[2:]],
        "does not show the tool calls of message 1",
    ),
    "hidden call of the older form": (
        CHATML,
        [CHAT[1], {"role": "assistant", "content": "", "function_call": {"name": "sum"}}],
        "does not show the tool calls of message 1",
    ),
    "weight that cannot be located": (
        MARKED.replace("<|im_start|>", "<|im_start|>{{ messages | length }}", 1),
        [*CHAT[:2], {**CHAT[2], "weight": 0}, *CHAT[3:]],
        "so those with `weight` 0 cannot be located",
    ),
    "no tokens": ("x", [CHAT[1], {"role": "assistant", "content": ""}], "have no tokens"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_chat_that_the_template_cannot_show_raises_one_line(load, case):
    template, messages, expected = WRONG[case]
    with pytest.raises(UserError) as caught:
        encode_chat(messages, load(template)[0])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_names_of_roles_and_missing_values_mean_the_same():
    expected = json.dumps(CHAT[1:3])
    other = [{"from": "human", "value": "yes or no?"}, {"from": "gpt", "value": "no"}]
    filled = [{**message, "tool_calls": None} for message in CHAT[1:3]]
    mixed = [{"from": "human", "value": "yes or no?"}, {"from": "assistant", "value": "no"}]
    parts = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in CHAT]
    for value in (CHAT[1:3], other, filled, expected, mixed, parts[1:3]):
        assert json.loads(messages_text("row 0", value, "messages")) == json.loads(expected)
    assert messages_text("row 0", None, "messages") is None
    assert messages_text("row 0", [], "messages") == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "column `messages` is not a list of messages"),
        ([1], "column `messages` is not a list of messages"),
        ([{"content": "x"}], "row 0: message 0: has no `role`; the keys are content"),
        ([{"role": "user", "content": [{"type": "image"}]}], "message 0: `content` is not text"),
        (
            [CHAT[1], {"role": "assistant", "text": "no", "content": None}],
            "row 0: message 1: has no `content`, `value` or `tool_calls`; the keys with a value "
            "are role, text",
        ),
        ([{"role": "assistant", "content": None, "tool_calls": []}], "message 0: has no `content`"),
        ([{"role": "assistant", "content": float("nan")}], "message 0: has no `content`"),
        ([{**CHAT[2], "weight": 0.5}], "message 0: `weight` is 0.5; expected 0 or 1"),
        ([{**CHAT[2], "train": "no"}], "message 0: `train` is 'no'; expected false or true"),
        ([{"role": "user", "content": b"x"}], "message 0: `content` holds a value of type bytes"),
        (
            [{**CALLS[1], "tool_calls": [{"arguments": {"price": Decimal("0.1")}}]}],
            "message 0: `tool_calls` holds a value of type Decimal",
        ),
        (
            '[{"role": "user", "role": "assistant", "content": "x"}]',
            "row 0: column `messages`: duplicate key 'role' in one object; keep one of the two",
        ),
        ("[" * 100_000, "column `messages` is not a list of messages"),
    ],
)
def test_other_values_raise_one_line(value, expected):
    with pytest.raises(UserError) as caught:
        messages_text("row 0", value, "messages")
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["Assistant", "ASSISTANT", "model", "AI", "bot", "gpt", "ChatGPT"])
def test_every_usual_name_of_the_assistant_is_mapped(name):
    chat = [{"role": "Human", "content": "a"}, {"role": name, "content": "b"}]
    roles = [one["role"] for one in json.loads(messages_text("row 0", chat, "messages"))]
    assert roles == ["user", "assistant"]
    other = [{"role": "Narrator", "content": "a"}]
    assert json.loads(messages_text("row 0", other, "messages"))[0]["role"] == "Narrator"


@pytest.mark.parametrize(
    "extra",
    [
        {"sent": datetime(2024, 1, 1)},
        {"sent": date(2024, 1, 1), "raw": b"x"},
        {"price": Decimal("0.1")},
        {"parts": [{"at": time(1)}]},
        {"name": float("nan"), "tool_calls": float("nan")},
    ],
    ids=str,
)
def test_values_that_json_does_not_have_are_omitted(extra):
    rows = [{**message, **extra} for message in CHAT]
    assert messages_text("row 0", rows, "messages") == messages_text("row 0", CHAT, "messages")
    assert messages_text("row 0", float("nan"), "messages") is None


def rows(count=60):
    return [
        {
            "messages": [
                {"role": "user", "content": f"{i}?"},
                {"role": "assistant", "content": f"{i}."},
            ]
        }
        for i in range(count)
    ]


@pytest.fixture
def chats(tmp_path, load):
    """Return a function that writes chats to a file and returns the section `corpus`."""
    _, folder = load(CHATML)

    def make(name="chats.jsonl", extra=()):
        path, table = tmp_path / name, [*rows(), *extra]
        if name.endswith("parquet"):
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in table))
        return CorpusConfig(
            source="files", files=[str(path)], messages_column="messages", tokenizer=str(folder),
            sequence_length=32, heldout_sequences=4,
        )  # fmt: skip

    return make


def test_a_corpus_of_chats_is_the_same_from_every_source(chats, window, tmp_path, monkeypatch):
    corpus, tokenizer, summary = build(chats(), window, 0, {})
    assert corpus.domains == ["chats"]
    assert spelt(tokenizer, token_numbers(corpus.units[0, 0])).startswith("<|im_start|>user\n")
    part = summary["domains"]["chats"]["splits"]["window"]
    assert (part["sequences"], part["documents_used"], part["chats_cut"]) == (14, 14, 0)
    assert part["learnt_tokens"] == (corpus.units >= 0).sum() > 0
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "chats").mkdir()
    chats("chats/a.jsonl")
    hub = {"name": str(tmp_path / "chats"), "split": "train"}
    of_hub = replace(chats(), source="hub", files=[], hub=hub)
    for other in (chats("chats.parquet"), of_hub):
        assert np.array_equal(build(other, window, 0, {})[0].units, corpus.units)


def test_chats_without_an_answer_are_removed_and_counted(chats):
    extra = [{"messages": [{"role": "user", "content": "?"}]}, {"messages": []}, {"messages": None}]
    counts = TextCounts()
    assert len(documents(chats(extra=[*extra, rows(1)[0]]), {}, counts)) == 60
    assert counts.removed_from("chats") == {
        "null": 1, "empty": 1, "duplicate": 1, "unanswered": 1
    }  # fmt: skip


def test_chats_whose_answers_are_empty_or_not_learnt_are_removed(chats):
    extra = [
        {"messages": [CHAT[1], {"role": "assistant", "content": ""}]},
        {"messages": [CHAT[1], {**CHAT[2], "weight": 0}]},
        {"messages": [*CHAT[1:], CHAT[3], {"role": "assistant", "content": " "}]},
    ]
    counts = TextCounts()
    assert len(documents(chats(extra=extra), {}, counts)) == 61
    assert counts.removed_from("chats")["unanswered"] == 2
    assert counts.as_dict()["empty_answers"] == 1
    assert "answers without text, which are learnt as such: 1" in list(counts.lines(chats=True))


def test_chats_without_any_answer_raise_with_the_roles(tmp_path, chats):
    path = tmp_path / "stories.jsonl"
    turns = [{"role": "narrator", "content": "a"}, {"role": "hero", "content": "b"}]
    path.write_text(json.dumps({"messages": turns}))
    with pytest.raises(UserError) as caught:
        documents(replace(chats(), files=[str(path)]), {})
    assert "removed documents: 1 unanswered" in str(caught.value)
    assert "the roles are narrator, hero" in str(caught.value)


def test_line_ends_and_special_tokens_of_messages_are_told_as_those_of_chats(chats, window):
    turn = {"role": "user", "content": "a\r\nb\r\n\ufeff<|im_end|>"}
    _, _, summary = build(chats(extra=[{"messages": [turn, CHAT[2]]}]), window, 0, {})
    assert summary["text"]["crlf"]["in_documents"] == 2, "line ends in JSON text are not seen"
    assert summary["text"]["byte_order_marks"]["in_documents"] == 1
    [note] = [note for note in summary["notes"] if "special tokens" in note]
    assert note.startswith("messages spell out special tokens: <|im_end|> 1; ")
    assert "plain text" not in note
    assert "messages_column" not in note


def test_too_few_chats_raise_with_their_number(chats, window):
    with pytest.raises(UserError, match=r"part needs \d+ chats and has \d+; lower .* or add chats"):
        build(chats(), replace(window, units=60), 0, {})


KEYS = {  # changes of a configuration, and a part of the error message
    "no tokenizer": ({"corpus__tokenizer": None}, "corpus.messages_column: chats need the chat"),
    "pairs": (
        {"corpus__prompt_column": "a", "corpus__response_column": "b"},
        "corpus.messages_column: cannot be combined with prompt_column",
    ),
    "packages": (
        {"corpus__source": "packages"},
        "corpus.messages_column: source `packages` has no",
    ),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_do_not_fit_chats_raise_one_line(case):
    changes, expected = KEYS[case]
    values = {
        "corpus__source": "files", "corpus__files": ["a.jsonl"], "corpus__tokenizer": "mine",
        "corpus__messages_column": "messages",
    }  # fmt: skip
    with pytest.raises(UserError) as caught:
        parse(whole_config(**{**values, **changes}))
    assert expected in str(caught.value)


@pytest.mark.parametrize("source", ["chats.jsonl", "chats.parquet", "hub"])
def test_chats_that_are_read_as_texts_raise_with_the_key_for_chats(
    chats, source, tmp_path, monkeypatch
):
    config = chats(source if source != "hub" else "chats.jsonl")
    if source == "hub":
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        (tmp_path / "hub").mkdir()
        chats("hub/a.jsonl")
        hub = {"name": str(tmp_path / "hub"), "split": "train"}
        config = replace(config, source="hub", files=[], hub=hub)
    for column, expected in (
        ("text", "messages_column: messages"),
        ("messages", "set corpus.mess"),
    ):
        with pytest.raises(UserError, match=expected):
            documents(replace(config, messages_column=None, text_column=column), {})


def test_a_json_file_of_one_chat_is_this_chat(tmp_path, chats):
    (tmp_path / "one.json").write_text(json.dumps({"messages": CHAT}))
    [text] = documents(replace(chats(), files=[str(tmp_path / "one.json")]), {})["text"]
    assert json.loads(text) == CHAT


def test_plain_text_cannot_be_chats(tmp_path, chats):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(UserError, match=r"a\.txt: a \.txt file has no columns of prompts"):
        documents(replace(chats(), files=[str(tmp_path / "a.txt")]), {})
