"""The generated reference of the configuration agrees with its typed sections."""

from pathlib import Path

import pytest
import yaml

from trainorder.config.loading import load_config
from trainorder.config.reference import reference_files
from trainorder.config.study_config import Config, parse

ROOT = Path(__file__).parents[2]
FILES = reference_files()


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_is_up_to_date(name):
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name], (
        f"{name} does not agree with lib/trainorder/config; run "
        "`python -m trainorder.config.reference`"
    )


def test_the_file_of_the_default_study_is_the_default_configuration():
    assert parse(load_config(ROOT / "config.yaml")) == Config()


def test_no_line_of_the_default_study_is_too_long():
    assert all(len(line) <= 100 for line in FILES["config.yaml"].splitlines())


def test_every_key_has_a_description():
    def check(node, where):
        for key, inner in node.get("properties", {}).items():
            assert inner.get("description"), f"{where}{key} has no description"
            check(inner, f"{where}{key}.")
        for inner in [*filter(None, [node.get("items")]), *node.get("anyOf", [])]:
            check(inner, where)

    check(yaml.safe_load(FILES["schemas/config.schema.yaml"]), "")
