import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.data.documents import documents, index
from trainorder.errors import UserError


def files(config: CorpusConfig, *paths: Path, domains: list[str] | None = None) -> CorpusConfig:
    return replace(config, files=[str(path) for path in paths], domains=domains)


def test_a_txt_file_is_one_domain_of_whole_paragraphs(tmp_path, config):
    paragraphs = [f"paragraph {i}\n" + "word " * 150 for i in range(9)]
    path = tmp_path / "letters.txt"
    path.write_bytes("\r\n \r\n".join(paragraphs).replace("\n", "\r\n").encode("utf-8-sig"))
    rows = documents(files(config, path), {})
    assert set(rows["domain"]) == {"letters"}
    joined = "\n\n".join(rows["text"])
    assert joined.split("\n\n") == [paragraph.rstrip() for paragraph in paragraphs], (
        "a paragraph was lost, split or reordered"
    )
    assert [text.count("paragraph") for text in rows["text"]] == [3, 3, 3]


def test_jsonl_and_parquet_give_the_same_rows(tmp_path, config):
    texts, domains = ["one text", "two texts", "drei Texte ü"], ["a", "b", "a"]
    pairs = [{"text": t, "domain": d} for t, d in zip(texts, domains, strict=True)]
    jsonl = tmp_path / "rows.jsonl"
    jsonl.write_text("\n\n".join(json.dumps(pair) for pair in pairs), encoding="utf-8")
    parquet = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "domain": domains}), parquet)
    read = [documents(files(config, path), {}).to_dict() for path in (jsonl, parquet)]
    assert read[0] == read[1] == {"text": texts, "domain": domains}


def test_duplicates_and_blank_documents_are_dropped(tmp_path, config):
    path = tmp_path / "rows.jsonl"
    rows = [("same", "a"), ("same", "a"), (" same\n", "b"), ("  ", "a"), (None, "a"), ("b", "b")]
    path.write_text("\n".join(json.dumps({"text": t, "domain": d}) for t, d in rows))
    assert documents(files(config, path), {})["text"][:] == ["same", "b"], (
        "a duplicate could be in both training and held-out text"
    )


def pairs(config: CorpusConfig) -> CorpusConfig:
    return replace(config, prompt_column="question", response_column="answer")


def test_pairs_are_distinct_by_prompt_and_response(tmp_path, config):
    rows = [
        ("q", "a"), ("q", "a"), (" q", "a\n"), ("q", "b"), ("p", "a"), ("", "qa"), ("qa", ""),
        (None, "c"), ("q", None), ("q", " "),
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "\n".join(json.dumps({"question": q, "answer": a, "domain": "d"}) for q, a in rows)
    )
    read = documents(files(pairs(config), path), {})
    assert list(zip(read["prompt"], read["text"], strict=True)) == [
        ("q", "a"), ("q", "b"), ("p", "a"), ("", "qa"), ("", "c"),
    ]  # fmt: skip
    numbers, characters = index(read)["d"]
    assert numbers.tolist() == [0, 1, 2, 3, 4]
    assert characters.tolist() == [2, 2, 2, 2, 1]


def test_pairs_without_a_column_raise_with_the_existing_columns(tmp_path, config):
    jsonl, parquet = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    jsonl.write_text(json.dumps({"question": "q", "text": "t", "domain": "d"}))
    pyarrow.parquet.write_table(pyarrow.table({"answer": ["a"], "domain": ["d"]}), parquet)
    expected = {
        jsonl: "no column `answer`; the columns are question, text, domain",
        parquet: "no column `question`; the columns are answer, domain",
    }
    for path, start in expected.items():
        with pytest.raises(UserError) as caught:
            documents(files(pairs(config), path), {})
        assert str(caught.value).endswith(
            f"{start}; set corpus.prompt_column and corpus.response_column, "
            "or add this column to each document"
        )


def test_domains_select_and_null_selects_all(config):
    assert set(documents(config, {})["domain"]) == {"sea", "hill", "town"}
    chosen = replace(config, domains=["town", "sea"])
    assert set(documents(chosen, {})["domain"]) == {"town", "sea"}


@pytest.fixture
def hub(tmp_path, config, monkeypatch) -> Callable[..., CorpusConfig]:
    """Return a function that writes a dataset to a folder that the hub loader reads offline."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def make(columns: dict[str, list], split: str = "train", **changes: object) -> CorpusConfig:
        folder = tmp_path / "shelf"
        folder.mkdir()
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "train.parquet")
        source = {"name": str(folder), "split": split}
        return replace(config, source="hub", files=[], hub=source, **changes)

    return make


def test_a_hub_dataset_keeps_its_domain_column(hub):
    source_config = hub({"body": ["x y", "z"], "kind": [0, 1], "other": [1, 2]})
    rows = documents(replace(source_config, text_column="body", domain_column="kind"), {})
    assert rows.to_dict() == {"text": ["x y", "z"], "domain": ["0", "1"]}


def test_columns_of_pairs_in_a_hub_dataset_may_have_any_name(hub):
    source_config = hub({"text": ["p", "q", None], "n": [0, 1, 2], "prompt": ["a", "b", "c"]})
    lengths = index(
        documents(replace(source_config, prompt_column="text", response_column="prompt"), {})
    )
    assert lengths["shelf"][1].tolist() == [2, 2, 1]
    rows = documents(replace(source_config, prompt_column="text", response_column="prompt"), {})
    assert rows.to_dict() == {
        "prompt": ["p", "q", None], "text": ["a", "b", "c"], "domain": ["shelf"] * 3
    }  # fmt: skip
    with pytest.raises(UserError, match=r"shelf: column `n` is not text"):
        documents(replace(source_config, prompt_column="text", response_column="n"), {})


def test_the_revision_of_a_hub_dataset_is_loaded(hub, monkeypatch):
    seen = []
    for name in ("load_dataset", "load_dataset_builder"):
        plain = getattr(datasets, name)

        def loader(*args, revision, plain=plain, **options):
            seen.append(revision)
            return plain(*args, **options)

        monkeypatch.setattr(datasets, name, loader)
    source_config = hub({"text": ["x", "y"]})
    at = replace(source_config.hub, revision="v2")
    documents(replace(source_config, hub=at), {})
    assert seen == ["v2", "v2"], "another revision of the data is read"


def test_a_hub_dataset_without_domains_is_one_domain_with_its_name(hub):
    assert set(documents(hub({"text": ["x", "y"]}), {})["domain"]) == {"shelf"}


def test_hub_errors_are_one_line_with_the_name_of_the_dataset(hub, config, tmp_path):
    source_config = hub({"text": ["x"], "n": [1]})
    cases = {
        "no column `body`; the columns are text, n": replace(source_config, text_column="body"),
        "column `n` is not text": replace(source_config, text_column="n"),
        "cannot be loaded": replace(
            source_config, hub=replace(source_config.hub, split="validation")
        ),
        "choose from shelf": replace(source_config, domains=["prose"]),
    }
    for expected, case in cases.items():
        with pytest.raises(UserError) as caught:
            documents(case, {})
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "shelf" in str(caught.value)


BAD_FILES = [
    ("bytes.txt", b"abc\xffdef", "bytes.txt: not UTF-8 at byte 3"),
    ("lines.jsonl", b'{"text": "a", "domain": "b"}\n{"text": ', "lines.jsonl:2: not JSON"),
    ("list.jsonl", b"[1, 2]\n", "list.jsonl:1: not a JSON object"),
    (
        "column.jsonl",
        b'{"text": "a", "domain": "b"}\n{"text": "a", "kind": "b"}',
        "column.jsonl:2: no column `domain`; the columns are text, kind",
    ),
    ("number.jsonl", b'{"text": 5, "domain": "b"}', "number.jsonl:1: column `text` is not text"),
    ("null.jsonl", b'{"text": "a", "domain": null}', "null.jsonl:1: column `domain` is empty"),
    ("broken.parquet", b"PAR1 and no more", "broken.parquet: not readable as parquet"),
    ("mixed.txt", b"some text", "a domain is called `mixed`"),
    ("empty.txt", b"", "contains no text"),
    ("blank.jsonl", b'{"text": " ", "domain": "b"}', "contains no text"),
]


@pytest.mark.parametrize(("name", "content", "expected"), BAD_FILES, ids=[c[0] for c in BAD_FILES])
def test_an_invalid_file_raises_one_line_with_the_place(tmp_path, config, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        documents(files(config, tmp_path / name), {})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_raises(tmp_path, config):
    with pytest.raises(UserError, match=r"gone\.txt: cannot be read"):
        documents(files(config, tmp_path / "gone.txt"), {})


def test_parquet_without_the_column_raises_with_the_existing_columns(tmp_path, config):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"], "domain": ["a"]}), path)
    with pytest.raises(UserError, match="no column `text`; the columns are body, domain"):
        documents(files(config, path), {})


def test_an_unknown_domain_raises_with_the_known_domains(config):
    with pytest.raises(
        UserError, match="opera: not in source `files`; choose from sea, hill, town"
    ):
        documents(replace(config, domains=["sea", "opera"]), {})
    with pytest.raises(UserError, match="opera: no package contains this domain; choose"):
        documents(replace(config, source="packages", domains=["opera"]), {})
