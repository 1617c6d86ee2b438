"""Invalid input: the job that reads it stops with one line that says what is wrong and where.

The tests of the packages `config`, `orders` and `data` cover each kind of invalid input. The tests
here run whole jobs.
"""

import json
import re

import huggingface_hub.constants
import pytest
import yaml

from configs import replaced
from trainorder.config.loading import load_config
from trainorder.training.checkpoints import read_state, write_state
from workflow_tree import SMOKE, Tree, assert_one_line, by_hand, contents, work_tree

pytestmark = pytest.mark.study


def changed(record, **values):
    """Return a job record with the params at some dotted keys (`__` for the dot) replaced."""
    return {**record, "params": replaced(record["params"], **values)}


@pytest.fixture
def workbench(finished, tmp_path):
    """Return an empty tree, and a function that returns job records of the finished study."""
    tree = Tree(tmp_path)

    def record(job, **values):
        return changed(finished.job_elsewhere(job), **values)

    return tree, record


def published(tree):
    """Return the files that a job left behind, except trainer states."""
    names = [path.relative_to(tree.results) for path in tree.results.rglob("*") if path.is_file()]
    return [str(name) for name in names if name.parts[0] != ".work"]


CORPUS = {  # params of the rule `corpus`, and parts of the error message
    "more units than text": ({"window__units": 10**5}, ["scripture", "window.units"]),
    "larger units than text": (
        {"window__unit_size": 10**5},
        ["the window part", "window.unit_size"],
    ),
    "more warm-up than text": ({"window__warmup_steps": 10**6}, ["window.warmup_steps"]),
    "more held-out than text": (
        {"corpus__heldout_sequences": 10**6},
        ["corpus.heldout_sequences"],
    ),
    "longer sequences than text": (
        {"corpus__sequence_length": 131072, "window__units": 64},
        ["corpus.sequence_length"],
    ),
    "tokenizer folder missing": (
        {"corpus__tokenizer": "absent"},
        ["corpus.tokenizer", "absent: no such folder; on the hub: cannot be loaded"],
    ),
    "tokenizer unreadable": (
        {"corpus__tokenizer": "broken"},
        ["corpus.tokenizer", ": broken: cannot be loaded"],
    ),
}


@pytest.mark.parametrize("case", CORPUS)
def test_a_corpus_that_cannot_be_built_raises_one_line(workbench, monkeypatch, case):
    values, expected = CORPUS[case]
    tree, record = workbench
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (tree.root / "broken").mkdir()
    (tree.root / "broken/tokenizer.json").write_text('{"model": ')
    ended = by_hand(tree, "corpus", record("corpus", **values))
    assert_one_line(ended, *expected)
    assert not published(tree)


FILES = {  # the name and bytes of a text file, and parts of the error message
    "not UTF-8": ("a.txt", b"fine\n\xff\xfe", ["a.txt", "UTF-8", "byte 5"]),
    "bad line": ("a.jsonl", b'{"text": "t", "domain": "d"}\n{"text"', ["a.jsonl:2", "JSON"]),
    "line is a list": ("a.jsonl", b"[1]", ["a.jsonl:1", "object"]),
    "missing column": ("a.jsonl", b'{"words": "t"}', ["a.jsonl:1", "`text`", "words"]),
    "no domains": (
        "a.jsonl",
        b'{"text": "t", "domain": "d"}\n{"text": "t"}',
        ["a.jsonl:2: no column `domain`", "set corpus.domain_column, or"],
    ),
    "text is a number": ("a.jsonl", b'{"text": 1, "domain": "d"}', ["a.jsonl:1", "not text"]),
    "half a character": (
        "a.jsonl",
        b'{"text": "\\ud800", "domain": "d"}',
        ["a.jsonl:1", "surrogate"],
    ),
    "no domain": ("a.jsonl", b'{"text": "t", "domain": null}', ["a.jsonl:1", "`domain`"]),
    "not parquet": ("a.parquet", b"PAR1 no more", ["a.parquet", "parquet"]),
    "blank": ("a.txt", b"\n \n", ["no text"]),
    "missing": ("a.txt", None, ["a.txt", "cannot be read"]),
    "too short": ("a.txt", b"hello there " * 20, ["a: the ", "part needs", "tokens"]),
    "a domain called mixed": ("mixed.txt", b"hello " * 500, ["`mixed`"]),
}


@pytest.mark.parametrize("case", FILES)
def test_an_invalid_text_file_raises_one_line(workbench, case):
    name, content, expected = FILES[case]
    tree, record = workbench
    if content is not None:
        (tree.root / name).write_bytes(content)
    values = {"corpus__source": "files", "corpus__files": [name], "corpus__domains": None}
    job = record("corpus", domains=[], **values)
    job["input"] = {"files": [name]}
    assert_one_line(by_hand(tree, "corpus", job), *expected)
    assert not published(tree)


def test_a_domain_that_the_files_lack_raises_one_line_with_the_domains_of_the_files(workbench):
    tree, record = workbench
    (tree.root / "sea.txt").write_text("the tide comes in\n\n" * 400)
    values = {"corpus__source": "files", "corpus__files": ["sea.txt"], "corpus__domains": ["hill"]}
    job = record("corpus", domains=[], **values)
    job["input"] = {"files": ["sea.txt"]}
    assert_one_line(by_hand(tree, "corpus", job), "corpus.domains: hill", "choose from sea")


NAMED = {  # a part of the search, and the name in it that the corpus lacks
    "quotas": ([{"domain": "opera", "first": 0, "last": 1, "least": 1}], "domain `opera`"),
    "objective": ([{"metric": "heldout/opera", "weight": 1.0}], "metric `heldout/opera`"),
}


@pytest.mark.parametrize("part", NAMED)
def test_a_search_for_a_domain_that_the_text_lacks_raises_one_line(workbench, part):
    value, unknown = NAMED[part]
    tree, record = workbench
    ended = by_hand(tree, "propose", record("propose", **{f"curriculum__{part}": value}))
    assert_one_line(ended, f"curriculum.{part}: no {unknown}; this study has ")
    assert not published(tree)


@pytest.mark.parametrize("rate", [1.0e20, 1.0e30])
@pytest.mark.parametrize("job", ["warm", "reference", "barycentre", "truth-0"])
def test_training_that_diverges_raises_one_line_with_the_training_and_the_step(
    workbench, job, rate
):
    tree, record = workbench
    values = {"optimizer__learning_rate": rate, "optimizer__linear_warmup_steps": 0}
    ended = by_hand(tree, job.split("-")[0], record(job, **values))
    label = {"warm": "warm-up", "barycentre": "barycentre"}.get(job, "order reference")
    assert_one_line(ended, f"{label}: step ", "learning_rate")
    assert not published(tree)


def test_a_warm_model_without_a_finite_loss_raises_one_line(workbench):
    tree, record = workbench
    job = record("orders")
    warm = read_state(job["input"]["warm"], job["params"]["key"], "warm")
    warm.parameters[:] = float("nan")
    write_state(tree.root / "warm.h5", job["params"]["key"], warm)
    job["input"]["warm"] = "warm.h5"
    assert_one_line(by_hand(tree, "orders", job), "warm model: the loss of unit 0", "learning_rate")
    assert not published(tree)


ORDERS = {
    "not a permutation": (
        {"name": "mine", "schedule": [0, 0, 1, 2, 3, 4]},
        "unit 0 occurs 2 times",
    ),
    "unknown unit": ({"name": "mine", "schedule": [0, 1, 2, 3, 4, 6]}, "unit 6 does not exist"),
    "wrong length": ({"name": "mine", "schedule": [0, 1, 2]}, "3 places"),
    "name is taken": ({"name": "reversed", "schedule": [0, 1, 2, 3, 4, 5]}, "name is reserved"),
    "not JSON": ("name: mine", "not readable as JSON"),
    "empty": ([], "no orders"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_an_invalid_order_file_raises_one_line(workbench, case):
    content, expected = ORDERS[case]
    tree, record = workbench
    text = content if isinstance(content, str) else json.dumps(content)
    (tree.root / "mine.json").write_text(text)
    job = record("orders", orders__custom="mine.json")
    job["input"]["custom"] = "mine.json"
    assert_one_line(by_hand(tree, "orders", job), "mine.json", expected)
    assert not published(tree)


def snakemake_error(tree, *arguments):
    """Run Snakemake with invalid input and return its only error line."""
    status, output = tree.snakemake(*SMOKE, *arguments)
    assert status == 1, output
    assert "Traceback" not in output, output
    lines = re.findall(r"^error: .*$", output, re.M)
    assert len(lines) == 1, output
    return lines[0]


PARSED = {  # the content of a config file, and the error line of Snakemake
    "misspelt section": ("estimaters: []", "estimaters: unknown key; did you mean `estimators`?"),
    "misspelt key": ("window: {unit: 8}", "window.unit: unknown key; did you mean `units`?"),
    "out of range": ("optimizer: {beta1: 1.5}", "optimizer.beta1: must be less than 1"),
    "unknown domain": (
        "corpus: {domains: [opera]}",
        "corpus.domains: opera: no package contains this domain",
    ),
    "unknown metric": (
        "curriculum: {objective: [{metric: heldout/opera, weight: 1.0}]}",
        "curriculum.objective: no metric `heldout/opera`; this study has heldout, heldout/",
    ),
    "more jobs than orders": ("shards: {truth: 99}", "shards.truth: 99 jobs for 36 orders"),
}


@pytest.mark.parametrize("case", PARSED)
def test_snakemake_ends_with_one_line_before_a_job_runs(finished, tmp_path, case):
    content, expected = PARSED[case]
    (tmp_path / "mine.yaml").write_text(content)
    line = snakemake_error(finished, str(tmp_path / "mine.yaml"), "--dry-run")
    assert line.startswith(f"error: config: {expected}"), line


def test_a_duplicate_key_stops_snakemake(finished, tmp_path):
    (tmp_path / "mine.yaml").write_text("window: {units: 8}\nseeds: {}\nwindow: {epochs: 1}\n")
    line = snakemake_error(finished, str(tmp_path / "mine.yaml"), "--dry-run")
    assert line.endswith("line 3: duplicate key `window`; keep one of them"), line


def test_snakemake_names_the_misspelt_key_of_the_command_line(finished):
    line = snakemake_error(finished, "--dry-run", "--config", "studdy=mine")
    assert line == "error: config: studdy: unknown key; did you mean `study`?"


@pytest.mark.parametrize("section", ["orders", "window"])
def test_a_configuration_without_a_section_raises_one_line(tmp_path, section):
    tree = work_tree(tmp_path)
    config = load_config(tree.root / "config.yaml")
    del config[section]
    (tree.root / "config.yaml").write_text(yaml.safe_dump(config))
    status, output = tree.snakemake("--dry-run")
    assert status == 1, output
    expected = f"error: config: {section}: missing key; see config.yaml for its default"
    assert expected in output.splitlines()
    assert "Traceback" not in output


def test_an_invalid_order_file_stops_snakemake_before_it_removes_results(study):
    (study.root / "mine.json").write_text('{"name": "mine", "schedule": [0, 0, 1, 2, 3, 4]}')
    before = contents(study.results)
    line = snakemake_error(study, "--cores", "1", "--config", "orders={custom: mine.json}")
    assert "mine.json: order 'mine': not a permutation" in line
    after = contents(study.results)
    lost = {name for name, content in before.items() if after.get(name) != content}
    assert not lost, "results were lost because of an invalid order file"


def test_snakemake_stops_at_the_warm_up_if_its_loss_is_not_finite(study, tmp_path):
    (tmp_path / "mine.yaml").write_text("optimizer: {learning_rate: 1.0e+20}")
    line = snakemake_error(study, str(tmp_path / "mine.yaml"), "--cores", "1")
    assert re.match(r"error: warm-up: step \d+: .*learning_rate", line), line
