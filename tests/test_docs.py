"""The pages agree with the repository: links, paths, commands, keys, versions and examples."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "lib" / "trainorder"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [ROOT / "config" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs" / "measured").glob("*.md"))
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
FOLDERS = "tests|lib|scripts|presets|envs|profiles|rules|bench|docs"
SUBPACKAGES = "|".join(path.parent.name for path in LIBRARY.glob("*/__init__.py"))


def prose(text):
    """Return a page without its blocks of code."""
    return re.sub(r"^( *)```.*?^ *```$", "", text, flags=re.M | re.S)


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and MyST spell them."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page.read_text()), re.M)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(slugs)


def links(text):
    """Return the targets of links and images that lead to this repository."""
    found = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose(text))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name):
    page = ROOT / name
    for target in links(page.read_text()):
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{name}: {target} does not exist"
        if anchor:
            assert anchor in anchors(file), f"{name}: {target} has no such heading"


@pytest.mark.parametrize("name", NAMES)
def test_pages_name_only_files_that_exist(name):
    text = prose((ROOT / name).read_text())
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{name}: no {path}"
    for path in re.findall(rf"`((?:{SUBPACKAGES})/[\w./-]*\.py)`", text):
        assert (LIBRARY / path).exists(), f"{name}: no lib/trainorder/{path}"


@pytest.mark.parametrize("name", NAMES)
def test_make_commands_exist(name):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / name).read_text(), re.M):
        assert target in targets, f"{name}: the Makefile has no target {target}"


@pytest.mark.parametrize("name", NAMES)
def test_quoted_configuration_keys_exist(name):
    known = yaml.safe_load((ROOT / "config.yaml").read_text())
    for block in re.findall(r"^```yaml\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S):
        for section, value in (yaml.safe_load(block) or {}).items():
            assert section in known, f"{name}: no configuration key {section}"
            if isinstance(value, dict) and isinstance(known[section], dict):
                unknown = set(value) - set(known[section])
                assert not unknown, f"{name}: no configuration keys {unknown} in {section}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_presets_are_described():
    page = (ROOT / "docs" / "first_study.md").read_text()
    for preset in (ROOT / "presets").glob("*.yaml"):
        assert f"`{preset.stem}`" in page, f"docs/first_study.md does not describe {preset.stem}"


def test_every_sub_package_is_described():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for name in SUBPACKAGES.split("|"):
        assert f"| `{name}` |" in page, f"docs/architecture.md does not describe {name}"


def test_the_changelog_has_a_section_for_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def documented_modules():
    """Return the modules of the library with examples in their docstrings."""
    for path in sorted(LIBRARY.rglob("*.py")):
        if ">>> " in path.read_text():
            parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", list(documented_modules()))
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/extend.md"])
def test_python_blocks_are_valid(name):  # `docs/extend.md` has a test of its own
    for block in re.findall(r"^```python\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S):
        ast.parse(block)


@pytest.mark.slow
def test_the_site_is_built_without_warnings(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"]
    command += ["-d", str(tmp_path / "doctrees"), "docs", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").is_file()
