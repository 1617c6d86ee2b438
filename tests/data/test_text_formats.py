"""Text of any format gives the same documents; what is removed or suspicious is counted."""

import bz2
import csv
import gzip
import json
import lzma
import struct
import sys
from dataclasses import replace

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.text_paths import text_files
from trainorder.data.build import build
from trainorder.data.decoding import decoded
from trainorder.data.documents import documents
from trainorder.data.text_counts import TextCounts
from trainorder.errors import UserError

ROWS = [
    {"text": 'one, "two"\nand three', "domain": "a"},
    {"text": "NA", "domain": "b"},  # which readers of tables may take for a missing value
    {"text": "007", "domain": "a"},  # or for a number
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
QUOTED = '"one, ""two""\nand three"'


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def files(*names, **values):
    return CorpusConfig(source="files", files=[str(name) for name in names], **values)


def table(separator):
    lines = [("id", "text", "domain"), ("0", QUOTED, "a"), ("1", "NA", "b"), ("2", "007", "a")]
    return "".join(separator.join(line) + "\n" for line in lines)


SAME = {  # files that hold ROWS
    "rows.jsonl": LINES,
    "ROWS.JSONL": LINES,
    "rows.ndjson": LINES,
    "rows.json": json.dumps(ROWS, indent=1),
    "lines.json": LINES,
    "object.json": json.dumps({"data": ROWS}),
    "rows.csv": table(","),
    "rows.tsv": table("\t"),
    "windows.csv": b"\xef\xbb\xbf" + table(",").replace("\n", "\r\n").encode(),
    "rows.jsonl.gz": gzip.compress(LINES.encode()),
    "parts.jsonl.gz": gzip.compress(LINES[:30].encode()) + gzip.compress(LINES[30:].encode()),
    "rows.csv.gz": gzip.compress(table(",").encode()),
    "rows.json.bz2": bz2.compress(json.dumps(ROWS).encode()),
    "rows.ndjson.xz": lzma.compress(LINES.encode()),
}


@pytest.mark.parametrize("name", SAME)
def test_every_format_gives_the_same_documents(tmp_path, name):
    content = SAME[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert documents(files(tmp_path / name), {}).to_list() == ROWS


def test_zstandard_is_read_or_the_package_is_named(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "zstandard", None)
        with pytest.raises(UserError, match="run `pip install zstandard`"):
            documents(files(path), {})
    zstandard = pytest.importorskip("zstandard")
    frames = [zstandard.compress(part.encode()) for part in (LINES[:30], LINES[30:])]
    path.write_bytes(b"".join(frames))
    assert documents(files(path), {}).to_list() == ROWS, "only the first frame was read"


def compressors():
    zstandard = pytest.importorskip("zstandard")
    return {
        "zst": zstandard.compress, "bz2": bz2.compress, "xz": lzma.compress, "gz": gzip.compress
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["zst", "bz2", "xz", "gz"])
@pytest.mark.parametrize("streams", [1, 2, 5])
def test_a_compressed_file_that_is_cut_anywhere_raises(tmp_path, ending, streams):
    """Only a cut between two streams cannot be seen."""
    compress = compressors()[ending]
    text = "".join(f"line {i * i}\n" for i in range(3000)).encode()
    size = -(-len(text) // streams)
    parts = [compress(text[start : start + size]) for start in range(0, len(text), size)]
    whole, ends = b"".join(parts), set(np.cumsum([len(part) for part in parts]).tolist())
    path = tmp_path / f"a.txt.{ending}"
    path.write_bytes(whole + bytes(8))
    assert decoded(path, TextCounts()).encode() == text, "zeros at the end, or a stream was lost"
    cuts = {1, 5, len(parts[0]) - 1, len(parts[0]) + 1, len(whole) // 2, len(whole) - 1}
    for cut in {cut for cut in cuts - ends if cut < len(whole)}:
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=rf"a\.txt\.{ending}: cannot be decompressed: [^\n]*$"):
            decoded(path, TextCounts())


@pytest.mark.parametrize("ending", ["zst", "bz2", "xz", "gz"])
def test_what_follows_a_stream_is_a_stream_or_raises(tmp_path, ending):
    path = tmp_path / f"a.txt.{ending}"
    path.write_bytes(compressors()[ending](b"first part") + b"not compressed")
    with pytest.raises(UserError, match="cannot be decompressed"):
        decoded(path, TextCounts())


def test_frames_of_zstandard_that_hold_no_data_are_skipped(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    skipped = struct.pack("<II5s", 0x184D2A50, 5, b"index")
    path = tmp_path / "a.txt.zst"
    path.write_bytes(skipped + zstandard.compress(b"one ") + skipped + zstandard.compress(b"two"))
    assert decoded(path, TextCounts()) == "one two"


def test_files_without_a_domain_column_are_domains_of_their_name(tmp_path):
    for name in ("sea.jsonl", "hill.ndjson.gz", "town.csv"):
        text = f"text\nof {name}\n" if name.endswith("csv") else json.dumps({"text": f"of {name}"})
        content = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
        (tmp_path / name).write_bytes(content)
    counts = TextCounts()
    rows = documents(files(*sorted(tmp_path.iterdir())), {}, counts)
    assert sorted(rows["domain"]) == ["hill", "sea", "town"]
    [line] = counts.lines()
    assert line.startswith("files without a domain column: 3; their domains are hill, sea, town")


def test_files_of_a_folder_belong_to_the_folder_that_they_lie_in(tmp_path):
    for name in ("books/a.txt", "books/b.txt.gz", "books/old/c.jsonl", "books/.cache/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"text": name}) if name.endswith("jsonl") else name
        content = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
        (tmp_path / name).write_bytes(content)
    (tmp_path / "books/README.md").write_text("not text of the study")
    expected = [("books/a.txt", "books"), ("books/b.txt.gz", "books"), ("books/old/c.jsonl", "old")]
    expected = [{"text": name, "domain": domain} for name, domain in expected]
    assert documents(files(tmp_path / "books"), {}).to_list() == expected
    pattern = files(f"{tmp_path}/books/**/*.*")
    assert documents(pattern, {}).to_list() == expected
    both = files(tmp_path / "books/a.txt", tmp_path / "books")
    assert documents(both, {})["domain"][:] == ["a", "books", "old"], "a file was read twice"


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "a[1].txt").write_text("text")
    assert [file.domain for file in text_files([str(tmp_path / "a[1].txt")])] == ["a[1]"]


UNREADABLE = {  # the name and content of a file, and a part of the message
    "unknown.docx": (b"", "the kind of this file is not known; expected .txt, .jsonl"),
    "model.safetensors": (b"", "the kind of this file is not known"),
    "utf16.txt": ("text".encode("utf-16"), "utf16.txt: UTF-16; convert the file to UTF-8"),
    "cut.jsonl.gz": (gzip.compress(LINES.encode())[:-12], "cannot be decompressed"),
    "plain.jsonl.gz": (LINES.encode(), "cannot be decompressed: Not a gzipped file"),
    "cut.xz.txt.xz": (b"\xfd7zXZ\x00", "cannot be decompressed"),
    "number.json": (b"3", "not a list of objects"),
    "list.json": (b"[[1]]", "not a list of objects"),
    "cut.json": (b'[{"text": "a"}, ', "not JSON"),
    "joined.jsonl": (
        b'{"text": "a"}{"text": "b"}',
        "joined.jsonl:1: not JSON: Extra data: line 1 c",
    ),
    "pretty.json": (b'{\n "text": "a"\n},\n{\n "text": "b"\n}', "pretty.json:1: not JSON"),
    "headless.csv": (b"0,some text,a\n1,more,b\n", "no column `text`; the columns are 0, some te"),
    "ragged.csv": (b"text,domain\na,b,c\n", "row 0: has more cells than the first line has names"),
    "quote.csv": (b'text,domain\n"a,b\n', "not readable as a table"),
    "twice.csv": (b"text,domain,text\na,b,c\n", "twice.csv: duplicate column `text`; keep or"),
    "twice.jsonl": (b'{"text": "a", "text": "b"}', "twice.jsonl:1: duplicate key 'text' in one ob"),
    "twice.json": (b'[{"text": "a", "m": {"k": 1, "k": 2}}]', "twice.json: duplicate key 'k'"),
    "splits.json": (
        b'{"train": [{"text": "a"}], "test": [{"text": "b"}]}',
        "splits.json: has several lists of objects, train, test; write a file for each of them",
    ),
    "rows.parquet.gz": (b"", "a .parquet file is compressed inside, and is not read with the endi"),
    "late.jsonl": (
        b'{"text": "a"}\n{"text": "b", "domain": "d"}',
        "late.jsonl:2: has the column `domain`, but the first row has not",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_raises_one_line(tmp_path, name):
    content, expected = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        documents(files(tmp_path / name), {})
    assert expected in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_with_a_duplicate_column_raises(tmp_path):
    column = pyarrow.array(["a"])
    table = pyarrow.Table.from_arrays([column, column], names=["text", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(UserError, match=r"twice\.parquet: duplicate column `text`"):
        documents(files(tmp_path / "twice.parquet"), {})


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("content", [{"data": [{"say": "a"}]}, {"data": [{"say": "a"}], "v": 1}])
def test_lists_of_other_objects_are_not_taken_for_chats(tmp_path, name, content):
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(UserError, match="no column `text`") as caught:
        documents(files(tmp_path / name), {})
    assert "messages_column" not in str(caught.value)


def test_a_parquet_file_in_a_folder_that_is_compressed_as_a_whole_is_not_skipped(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "rows.parquet.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"rows\.parquet\.gz: a \.parquet file is compressed"):
        documents(files(tmp_path), {})


@pytest.mark.parametrize("name", ["", "*.jsonl"])
def test_a_folder_or_pattern_without_text_raises_one_line(tmp_path, name):
    with pytest.raises(UserError, match=r"no files of text there; expected \.txt"):
        documents(files(tmp_path / name), {})


def test_an_object_as_domain_raises_with_the_key_to_name_and_the_key_works(tmp_path):
    rows = [{"text": f"text {i}", "meta": {"set": "ab"[i % 2], "id": i}} for i in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    shelf = {"name": str(tmp_path), "split": "train"}
    for changes in (
        {"source": "files", "files": [str(tmp_path / "rows.jsonl")]},
        {"source": "files", "files": [str(tmp_path / "rows.parquet")]},
        {"source": "hub", "hub": shelf},
    ):
        if "hub" in changes:
            (tmp_path / "rows.parquet").unlink()  # one format in a folder
        with pytest.raises(UserError) as caught:
            documents(CorpusConfig(domain_column="meta", **changes), {})
        message = str(caught.value)
        assert "column `meta` holds an object with the keys set, id" in message
        assert message.endswith("for instance corpus.domain_column: meta.set")
        read = documents(CorpusConfig(domain_column="meta.set", **changes), {})
        assert read.to_dict() == {
            "text": [row["text"] for row in rows],
            "domain": [row["meta"]["set"] for row in rows],
        }


TEXTS_OF_OBJECTS = {"JSON": json.dumps, "Python": repr}


@pytest.mark.parametrize("write", TEXTS_OF_OBJECTS.values(), ids=TEXTS_OF_OBJECTS)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "hub"])
def test_an_object_that_is_written_as_text_is_no_domain_and_its_keys_are_columns(
    tmp_path, write, kind
):
    rows = [
        {"id": str(i), "meta": write({"set": "ab"[i % 2], "id": i, "said": f"text {i}"})}
        for i in range(4)
    ]
    path = tmp_path / f"rows.{kind.replace('hub', 'jsonl')}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif kind == "csv":
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "meta"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = {"source": "hub", "hub": {"name": str(tmp_path), "split": "train"}}
    source = hub if kind == "hub" else {"source": "files", "files": [str(path)]}
    with pytest.raises(UserError) as caught:
        documents(CorpusConfig(text_column="id", domain_column="meta", **source), {})
    assert "column `meta` holds an object with the keys set, id, said" in str(caught.value)
    assert str(caught.value).endswith("for instance corpus.domain_column: meta.set")
    keys = {"text_column": "meta.said", "domain_column": "meta.set"}
    read = documents(CorpusConfig(**keys, **source), {}).to_dict()
    assert read == {"text": [f"text {i}" for i in range(4)], "domain": ["a", "b", "a", "b"]}
    with pytest.raises(UserError, match=r"no column `meta\.kind`; the columns are .*meta"):
        documents(CorpusConfig(text_column="id", domain_column="meta.kind", **source), {})


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("{'set': 'a', 'score': nan}", "holds the text of an object that cannot be read: \"{'set'"),
        ('["news", "uk"]', "holds a list"),
        ("['news', 'uk']", "holds a list"),
    ],
)
def test_texts_of_lists_and_unreadable_objects_are_no_domains(tmp_path, domain, expected):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a", "domain": domain}))
    with pytest.raises(UserError) as caught:
        documents(files(tmp_path / "a.jsonl"), {})
    assert expected in str(caught.value)


@pytest.mark.parametrize("domain", ["{misc}", "[1] notes", "{", "[", "{}}"])
def test_other_names_in_brackets_are_domains(tmp_path, domain):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": '{"a": 1}', "domain": domain}))
    assert documents(files(tmp_path / "a.jsonl"), {}).to_list() == [
        {"text": '{"a": 1}', "domain": domain}
    ]


def test_a_literal_name_with_a_dot_and_texts_in_objects_are_columns(tmp_path):
    row = {"a.b": "literal", "a": {"b": "nested", "c": "deep"}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    path = tmp_path / "rows.jsonl"
    assert documents(files(path, text_column="a.b"), {})["text"][:] == ["literal"]
    assert documents(files(path, text_column="a.c"), {})["text"][:] == ["deep"]
    with pytest.raises(UserError, match=r"column `a` is not text; .*corpus.text_column: a.b"):
        documents(files(path, text_column="a"), {})


def test_a_misspelt_domain_column_of_a_dataset_raises(tmp_path):
    (tmp_path / "rows.jsonl").write_text(LINES)
    hub = {"name": str(tmp_path), "split": "train"}
    with pytest.raises(UserError, match=r"no column `kind`; the columns are text, domain"):
        documents(CorpusConfig(source="hub", hub=hub, domain_column="kind"), {})


def test_a_dataset_that_was_saved_to_disk_is_read(tmp_path):
    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(tmp_path / "rows")
    datasets.DatasetDict(train=rows).save_to_disk(tmp_path / "splits")
    for name in ("rows", "splits"):
        hub = {"name": str(tmp_path / name), "split": "train"}
        assert documents(CorpusConfig(source="hub", hub=hub), {}).to_list() == ROWS


CAUSES = {  # lines of two files of a dataset, and the cause of why they cannot be loaded
    "invalid": ('{"text": "a"}', '{"text": ', "JSON parse error: Invalid value. in row 0"),
    "other columns": ('{"text": "a"}', '{"text": "a", "q": [1]}', "column names don't match"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_a_load_that_fails_gives_the_cause(tmp_path, case):
    """The library only says that an error occurred, and raises that from the cause."""
    first, second, expected = CAUSES[case]
    (tmp_path / "a.jsonl").write_text(first + "\n")
    (tmp_path / "b.jsonl").write_text(second + "\n")
    hub = {"name": str(tmp_path), "split": "train"}
    with pytest.raises(UserError) as caught:
        documents(CorpusConfig(source="hub", hub=hub), {})
    message = str(caught.value)
    assert "cannot be loaded: An error occurred while generating the dataset: " in message
    assert expected in message
    assert "\n" not in message


def test_a_column_that_is_null_in_one_file_does_not_matter(tmp_path):
    """Libraries that guess a type from the first rows fail here, although no study reads `d`."""
    rows = [{"text": "a", "d": None}, {"text": "b", "d": "x"}, {"text": "c", "d": {"e": [1]}}]
    for number, row in enumerate(rows):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(row) + "\n")
    assert documents(files(tmp_path), {})["text"][:] == ["a", "b", "c"]


@pytest.mark.parametrize("source", ["files", "hub"])
def test_texts_that_look_like_missing_values_are_texts(tmp_path, source):
    (tmp_path / "rows.csv").write_text("text\nnull\nNA\nnan\nNone\n")
    hub = {"name": str(tmp_path), "split": "train"}
    config = files(tmp_path) if source == "files" else CorpusConfig(source="hub", hub=hub)
    assert documents(config, {})["text"][:] == ["null", "NA", "nan", "None"]


TEXT = "river stone window garden letter winter market engine paper north " * 6


def one_document_a_line(path, count=400):
    path.write_text("".join(f"{i} {TEXT}\n" for i in range(count)))
    return path


def test_a_document_a_line_is_offered_and_readable(tmp_path, window):
    path = one_document_a_line(tmp_path / "lines.txt")
    config = files(path, sequence_length=16, heldout_sequences=4, vocabulary=300)
    with pytest.raises(UserError) as caught:
        build(config, window, 0, {})
    assert "has 0 (documents: 0)" in str(caught.value)
    assert f"{path} is one document, as its 400 lines have no blank line" in str(caught.value)
    assert str(caught.value).endswith("set corpus.txt_documents: lines")
    _, _, summary = build(replace(config, txt_documents="lines"), window, 0, {})
    parts = summary["domains"]["lines"]["splits"].values()
    assert sum(part["documents"] for part in parts) == 400


def test_documents_separated_by_an_end_of_text_are_readable(tmp_path):
    path = tmp_path / "stories.txt"
    path.write_text("Once.\n\nThe end.\n<|endoftext|>\nTwice.\n<|endoftext|>\n")
    rows = documents(files(path, txt_documents="end_of_text"), {})
    assert rows["text"][:] == ["Once.\n\nThe end.", "Twice."]
    counts = TextCounts()
    counts.spelt(documents(files(path), {})["text"], [])
    assert "set corpus.txt_documents: end_of_text" in " ".join(counts.lines())


def test_marks_line_ends_and_removed_documents_are_counted_and_told(tmp_path, config, window):
    rows = config.files[0]
    extra = [None, "", "  ", "same", "same", "a\r\nb", "\ufeffmark"]
    with open(rows, "a") as file:
        file.writelines(json.dumps({"text": t, "domain": "sea"}) + "\n" for t in extra)
    windows = tmp_path / "hill.txt"
    windows.write_bytes(b"\xef\xbb\xbf" + b"one line\r\n\r\nanother\r\n")
    _, _, summary = build(replace(config, files=[rows, str(windows)]), window, 0, {})
    assert summary["domains"]["sea"]["removed"] == {
        "null": 1, "empty": 2, "duplicate": 1, "unanswered": 0
    }  # fmt: skip
    assert not any(summary["domains"]["hill"]["removed"].values())
    assert summary["text"] == {
        "byte_order_marks": {"in_files": 1, "in_documents": 1},
        "crlf": {"in_files": 3, "in_documents": 1},
    }
    notes = "\n".join(summary["notes"])
    for expected in (
        "sea: removed documents: 1 null, 2 empty, 1 duplicate",
        "removed 1 byte-order marks and replaced 3 CRLF line ends of files",
        "documents contain 1 byte-order marks, which are kept",
        "documents contain 1 CRLF line ends, which are kept",
    ):
        assert expected in notes


EMPTY_FILES = {
    "nothing.txt": "", "blank.txt": " \n\n", "nothing.jsonl": "", "list.json": "[]",
    "heading.csv": "text,domain\n", "nothing.tsv": "",
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY_FILES)
def test_a_file_without_documents_is_counted_and_named(tmp_path, name):
    path = tmp_path / name
    path.write_text(EMPTY_FILES[name])
    for domains in (None, ["sea"]):
        with pytest.raises(
            UserError, match=rf"contains no text; files without documents: .*{name}"
        ):
            documents(files(path, domains=domains), {})
    (tmp_path / "full.txt").write_text("text")
    counts = TextCounts()
    documents(files(path, tmp_path / "full.txt"), {}, counts)
    assert counts.as_dict()["empty_files"] == [str(path)]
    assert f"files without documents: 1: {path}" in list(counts.lines())


def test_folders_and_files_that_share_a_domain_by_their_names_are_told(tmp_path):
    for name in ("en/train/a.txt", "en/train/b.txt", "de/train/a.jsonl", "de/train/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        start = {"jsonl": '{"text": "%s"}', "csv": "text\n%s\n"}.get(name.split(".")[1], "%s")
        (tmp_path / name).write_text(start % name)
    counts = TextCounts()
    assert set(documents(files(tmp_path), {}, counts)["domain"]) == {"train"}
    [line] = [line for line in counts.lines() if line.startswith("train: is the domain of")]
    assert f"{tmp_path}/de/train, {tmp_path}/en/train; if they are different" in line
    counts = TextCounts()
    documents(files(tmp_path / "en/train/a.txt", tmp_path / "de/train/a.jsonl"), {}, counts)
    assert f"{tmp_path}/en/train/a, {tmp_path}/de/train/a" in "".join(counts.lines())
    counts = TextCounts()
    documents(files(tmp_path / "en"), {}, counts)
    assert list(counts.lines()) == [], "files of one folder are one domain on purpose"


def test_clean_text_leaves_no_notes(config, window):
    assert build(config, window, 0, {})[2]["notes"] == []


def test_special_tokens_in_plain_text_are_counted_and_told(config, window):
    with open(config.files[0], "a") as file:
        for turn in range(3):
            text = f"<|im_start|>user\n{turn}<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>"
            file.write(json.dumps({"text": text, "domain": "sea"}) + "\n")
    _, _, summary = build(config, window, 0, {})
    assert summary["special_tokens_in_text"] == {"<|im_end|>": 6, "<|im_start|>": 6}
    assert "spell out special tokens, which are encoded as plain text: <|im_start|> 6" in "".join(
        summary["notes"]
    )
    counts = TextCounts()
    counts.spelt(["a <s> and [INST] in </s>"], ["<s>", "</s>", "[INST]"])
    assert dict(counts.special_tokens) == {"<s>": 1, "[INST]": 1, "</s>": 1}


def test_domains_too_small_for_a_unit_are_not_used_unless_they_are_named(config, window):
    with open(config.files[0], "a") as file:
        for name in ("pond", "brook"):
            file.write(json.dumps({"text": f"few words of {name}", "domain": name}) + "\n")
    corpus, _, summary = build(config, window, 0, {})
    assert corpus.domains == ["sea", "hill", "town"]
    assert summary["small_domains"] == {"pond": 1, "brook": 1}
    assert any(note.startswith("pond: not used: its documents (1)") for note in summary["notes"])
    named = build(replace(config, domains=["sea", "hill", "town"]), window, 0, {})[0]
    assert named.units.tolist() == corpus.units.tolist(), "unused domains changed the corpus"
    with pytest.raises(UserError, match="corpus: pond: the heldout part needs"):
        build(replace(config, domains=["sea", "pond"]), window, 0, {})


def test_the_text_of_a_file_has_no_mark_and_plain_line_ends(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\ntwo\n".encode())
    counts = TextCounts()
    assert decoded(tmp_path / "a.txt", counts) == "one\ntwo\n"
    assert dict(counts.files) == {"byte_order_marks": 1, "crlf": 1}
