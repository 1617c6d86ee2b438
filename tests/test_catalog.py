"""The files for the Snakemake workflow catalog agree with the repository."""

import re
from pathlib import Path

import pytest
import yaml

from trainorder.config.loading import load_config
from trainorder.config.study_config import parse

ROOT = Path(__file__).parents[1]
README = ROOT / "config" / "README.md"
REPOSITORY = "https://github.com/trainorder/trainorder"
DEPLOYMENTS = ("conda", "apptainer", "apptainer+conda")


def test_every_link_to_the_repository_leads_to_a_file():
    """The catalog shows the page on another site, so its links are absolute."""
    targets = re.findall(r"\]\((\S+?)\)", README.read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        match = re.fullmatch(rf"{REPOSITORY}/(?:blob|tree)/main/([^#]+)(#.*)?", target)
        assert match, f"{target}: no link to a file of {REPOSITORY}"
        assert (ROOT / match[1]).exists(), f"{target}: no such file"


def test_every_preset_is_named():
    listed = README.read_text(encoding="utf-8").split("## Presets")[1].split("## Results")[0]
    presets = {path.stem for path in (ROOT / "presets").glob("*.yaml")}
    assert set(re.findall(r"`(\w+)`", listed)) == presets


def test_the_template_of_a_deployed_workflow_is_a_valid_configuration():
    parse(load_config(str(ROOT / "config.yaml"), str(ROOT / "config/config.yaml")))


def test_the_example_of_the_page_is_a_valid_configuration(tmp_path):
    [example] = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    file = tmp_path / "mine.yaml"
    file.write_text(example)
    assert parse(load_config(str(ROOT / "config.yaml"), str(file)))


def test_the_catalog_file_states_what_the_catalog_reads():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["software-stack-deployment"]) == set(DEPLOYMENTS)
    assert usage["report"] is True


def test_conda_is_offered_only_if_every_rule_with_a_script_names_its_environment():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        rules = re.split(r"^ *rule \w+:$", text, flags=re.M)[1:]
        for rule in (rule for rule in rules if re.search(r"^ *script:$", rule, re.M)):
            assert re.search(r"^ *conda:$", rule, re.M), f"{path.name}: a script without conda"


@pytest.mark.parametrize("name", ["config/README.md", "workflow/Snakefile", "LICENSE"])
def test_the_catalog_finds_its_files(name):
    assert (ROOT / name).is_file()
