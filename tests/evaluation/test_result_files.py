"""The result files have the names and fields that their definition and their documentation say."""

import csv
import json
from pathlib import Path

import pytest

import synthetic
from trainorder.errors import UserError
from trainorder.evaluation.result_files import (
    CURRICULUM,
    MEMORIZATION,
    REPLICATES,
    RESULT_FILES,
    STORES,
    TRUTH,
)
from trainorder.evaluation.results import Results

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md")))


@pytest.fixture
def study(tmp_path):
    study = synthetic.make(tmp_path, random=12, calibration=10)
    study.validate()
    return study


def test_validation_writes_the_files_and_fields_of_the_definition(study):
    for file in RESULT_FILES:
        if file.rule != "validate":
            continue
        with open(file.path(study.results), newline="", encoding="utf-8") as handle:
            if file.name.endswith(".csv"):
                assert tuple(next(csv.reader(handle))) == file.fields, file.name
            else:
                assert set(json.load(handle)) == {*file.fields}, file.name


@pytest.mark.parametrize("file", RESULT_FILES, ids=lambda file: file.name)
def test_the_docs_name_every_result_file_and_field(file):
    name = file.name.replace("store/reference", "store/<path>")
    assert f"`{name.replace('store/barycentre', 'store/<path>')}`" in PAGES
    missing = [field for field in file.fields if f"`{field}`" not in PAGES]
    assert not missing, f"no page in docs/ describes {missing} of {file.name}"


def test_a_table_without_a_column_raises_one_line_with_file_and_rule(study):
    TRUTH.path(study.results).write_text("order,metric\nreference,heldout\n")
    with pytest.raises(UserError, match=r"truth\.csv: .*'value'.*rerun rule `validate`"):
        Results.read(study.results)


def test_stores_without_a_field_raise_one_line_with_file_and_rule(study):
    path = STORES.path(study.results)
    content = json.loads(path.read_text())
    del content["stores"][0]["ratio"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"stores\.json: .*rerun rule `stores`"):
        Results.read(study.results)


@pytest.mark.parametrize("file", [STORES, CURRICULUM, MEMORIZATION, REPLICATES])
@pytest.mark.parametrize("text", ["null", "[]", "1"])
def test_an_optional_file_without_fields_raises_one_line_with_file_and_rule(study, file, text):
    file.path(study.results).write_text(text)
    with pytest.raises(UserError, match=rf"{file.name}: .*rerun rule `{file.rule}`"):
        Results.read(study.results)
