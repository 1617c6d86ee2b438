"""Every configuration key is used by a rule or by the code."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from trainorder.config import sections as section_files
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.expansion import ExpansionConfig
from trainorder.config.sections.memorization import MemorizationConfig
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.sections.run import RunConfig
from trainorder.config.sections.seeds import Seeds
from trainorder.config.sections.window import WindowConfig

ROOT = Path(__file__).parents[2]
RULES = "\n".join(
    re.sub(r"(?m)(^|\s)#.*$", "", path.read_text())
    for path in [
        ROOT / "Snakefile",
        *sorted((ROOT / "rules").glob("*.smk")),
        *sorted((ROOT / "lib/trainorder/workflow").rglob("*.py")),  # settings of the rules
    ]
)
CODE = {
    path: ast.parse(path.read_text())
    for path in [*(ROOT / "lib").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
}
SECTIONS = {
    "seeds": Seeds,
    "corpus": CorpusConfig,
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "window": WindowConfig,
    "run": RunConfig,
    "orders": OrdersConfig,
    "expansion": ExpansionConfig,
    "curvature": CurvatureConfig,
    "estimators": EstimatorConfig,
    "curriculum": CurriculumConfig,
    "memorization": MemorizationConfig,
}


def leaves(schema, prefix=()):
    """Return the path of every key of the schema that is not a section."""
    paths = []
    for key, value in schema["properties"].items():
        path, section = (*prefix, key), section_of(value)
        paths += leaves(section, path) if "properties" in section and prefix == () else [path]
    return paths


def section_of(schema):
    """Return the schema of a section that may also be null."""
    return next((one for one in schema.get("anyOf", []) if "properties" in one), schema)


SCHEMA = yaml.safe_load((ROOT / "schemas" / "config.schema.yaml").read_text())
LEAVES = leaves(SCHEMA)
NOT_IN_RULES = [("memory_gb",)]  # every job reads it as it starts; a change reruns nothing
FIELDS = [
    (section, field.name)
    for section, kind in SECTIONS.items()
    for field in dataclasses.fields(kind)
]


def keys_of_rules():
    """Return the paths of keys, whole sections among them, that the rules read."""
    text = r'config((?:\[\s*["\']\w+["\']\s*\])+)'
    return {tuple(re.findall(r"\w+", keys)) for keys in re.findall(text, RULES)}


def reads(trees):
    """Return the names that are read as an attribute in any of the syntax trees."""
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def mentions(tree):
    """Return the string constants, arguments and names of a syntax tree."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    return names


def consuming_trees():
    """Return the code that can consume a key: all but the checks of the configuration."""
    own = Path(section_files.__file__).resolve().parent
    others = [tree for path, tree in CODE.items() if own.parent not in path.resolve().parents]
    classes = [
        node
        for path in sorted(own.glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    for node in classes:  # validators only check
        node.body = [
            part for part in node.body if not getattr(part, "name", "").startswith("_check")
        ]
    return [*others, *classes]


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in LEAVES if leaf not in NOT_IN_RULES], ids=".".join
)
def test_every_key_is_read_by_a_rule(leaf):
    covering = {leaf[: i + 1] for i in range(len(leaf))}
    assert covering & keys_of_rules(), f"no rule reads {'.'.join(leaf)}: changing it reruns nothing"


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
def test_every_field_is_read_by_the_code(field):
    alone = field in keys_of_rules()  # as its own parameter, under any name
    read = field[1] in reads(consuming_trees())
    assert alone or read, f"{'.'.join(field)} is passed to a rule but never read"


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf[0] not in SECTIONS], ids=".".join)
def test_every_other_key_is_named_where_it_is_used(leaf):
    named = set.union(set(), *(mentions(tree) for tree in consuming_trees()))
    named |= {keys[-1] for keys in keys_of_rules()}
    assert leaf[-1] in named, f"{'.'.join(leaf)} is passed to a rule but never read"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_sections_have_the_fields_of_the_schema(section):
    schema = SCHEMA["properties"][section]
    keys = section_of(schema.get("items", schema))["properties"]
    assert {field.name for field in dataclasses.fields(SECTIONS[section])} == set(keys)


def test_the_rules_read_only_keys_of_the_schema():
    known = {leaf[: i + 1] for leaf in LEAVES for i in range(len(leaf))}
    assert keys_of_rules() <= known, f"unknown keys: {sorted(keys_of_rules() - known)}"
