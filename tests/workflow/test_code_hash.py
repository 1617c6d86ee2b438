"""Code hashes change when code or data that a script uses changes, and only then."""

import ast
import shutil
from pathlib import Path

import pytest

from trainorder.config.methods import METHODS
from trainorder.workflow import code_hash

ROOT = Path(__file__).parents[2]

MODULES = {
    "__init__.py": '"""The package."""\n',
    "rates.py": '"""Rates."""\n\nRATE = 0.5\n',
    "training.py": (
        '"""Trains."""\n\nfrom trainorder.rates import RATE\n\n\n'
        'def train(steps):\n    """Train."""\n    return steps * RATE\n'
    ),
    "figures/__init__.py": "",
    "figures/curves.py": "WIDTH = 3\n",
    "page/__init__.py": "",
    "page/page.py": 'from pathlib import Path\n\nSCRIPT = Path(__file__).with_name("page.js")\n',
    "page/page.js": "let width = 3;\n",
    "page/notes.txt": "Nothing reads this.\n",
    "step.py": (
        "from trainorder import training\n\n\ndef main(job):\n    return training.train(job)\n"
    ),
}


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    """Return a function that hashes `step.py` of a copy of MODULES with some files replaced."""
    copies = iter(range(100))

    def hash_of(**changes):
        package = tmp_path / str(next(copies)) / "trainorder"
        files = MODULES | {
            name if "." in name else f"{name}.py": text for name, text in changes.items()
        }
        for name, text in files.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text)
        shutil.move(package / "step.py", package.parent / "step.py")
        monkeypatch.setattr(code_hash, "PACKAGE", package)
        return code_hash.code_hash(package.parent / "step.py")

    return hash_of


def test_the_same_code_elsewhere_has_the_same_hash(hash_of):
    assert hash_of() == hash_of(), "the hash depends on the folder of the clone"


@pytest.mark.parametrize("folder", ["a", "z"])
def test_the_place_of_the_package_does_not_count(tmp_path, monkeypatch, folder):
    """A package may be installed in a folder before or after that of the scripts."""
    package, script = tmp_path / folder / "trainorder", tmp_path / "scripts" / "step.py"
    for name, text in MODULES.items():
        file = script if name == "step.py" else package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(code_hash, "PACKAGE", package)
    places = sorted(code_hash._closure([script]), key=code_hash._place)
    assert places[-1] == script, "the hash depends on the folder of the package"


def test_comments_layout_and_docstrings_do_not_count(hash_of):
    edited = (
        '"""Other words."""\n# a comment\nfrom trainorder.rates import (\n    RATE,\n)\n'
        'def train(\n    steps,\n):\n    """Other words."""\n    return (steps * RATE)  # why\n'
    )
    assert hash_of(training=edited) == hash_of(), "an edit of words would rerun the study"


def test_a_constant_in_a_transitively_imported_module_counts(hash_of):
    assert hash_of(rates="RATE = 0.25\n") != hash_of(), "an edit would leave stale results"


def test_a_directly_imported_module_counts(hash_of):
    assert hash_of(training=MODULES["training.py"].replace("*", "+")) != hash_of()


def test_the_script_itself_counts(hash_of):
    assert hash_of(step=MODULES["step.py"].replace("train(job)", "train(job + 1)")) != hash_of()


def test_a_string_other_than_a_docstring_counts(hash_of):
    one = MODULES["rates.py"] + 'NAME = "a"\n'
    assert hash_of(rates=one) != hash_of(rates=one.replace('"a"', '"b"'))


def test_an_unrelated_module_does_not_count(hash_of):
    assert hash_of(**{"figures/curves": "WIDTH = 4\n"}) == hash_of(), "an edit would rerun too much"


@pytest.mark.parametrize(
    "line",
    [
        "import trainorder.figures.curves",
        "from trainorder.figures import curves",
        "from trainorder.figures.curves import WIDTH",
        "def later():\n    from trainorder.figures import curves",
    ],
)
def test_every_form_of_import_is_followed(hash_of, line):
    step = f"{line}\n{MODULES['step.py']}"
    before = hash_of(step=step)
    assert hash_of(step=step, **{"figures/curves": "WIDTH = 4\n"}) != before


def test_a_package_counts_where_its_module_is_imported(hash_of):
    step = f"import trainorder.figures.curves\n{MODULES['step.py']}"
    assert hash_of(step=step, **{"figures/__init__": "X = 1\n"}) != hash_of(step=step)


def test_a_data_file_counts_where_the_module_that_names_it_is_imported(hash_of):
    step = f"from trainorder.page import page\n{MODULES['step.py']}"
    edited = {"page/page.js": "let width = 4;\n"}
    assert hash_of(step=step, **edited) != hash_of(step=step), "an edit would leave a stale page"
    assert hash_of(**edited) == hash_of(), "an edit would rerun too much"


def test_a_data_file_that_no_module_names_does_not_count(hash_of):
    step = f"from trainorder.page import page\n{MODULES['step.py']}"
    assert hash_of(step=step, **{"page/notes.txt": "More.\n"}) == hash_of(step=step)


def test_every_data_file_of_the_package_is_named_by_a_module_beside_it():
    package = ROOT / "lib/trainorder"
    for folder in (path for path in [package, *package.rglob("*/")] if path.name != "__pycache__"):
        text = "".join(path.read_text() for path in folder.glob("*.py"))
        read = [file for file in code_hash.data_files(folder) if file.name != "py.typed"]
        for file in read:
            assert f'"{file.name}"' in text, f"{file}: an edit of it would rerun nothing"


def test_no_module_imports_in_a_way_that_the_hash_does_not_follow():
    # The modules that it imports are hashed by the names in the descriptors.
    by_descriptor = ROOT / "lib/trainorder/estimators/build_estimator.py"
    for path in {*ROOT.glob("lib/**/*.py"), *ROOT.glob("scripts/*.py")} - {by_descriptor}:
        for node in ast.walk(ast.parse(path.read_text())):
            relative = isinstance(node, ast.ImportFrom) and node.level > 0
            star = isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names)
            by_name = isinstance(node, ast.Attribute) and node.attr == "import_module"
            hidden = relative or star or by_name
            assert not hidden, f"{path}: write the full name in an import"


def test_texts_of_errors_do_not_count_but_their_conditions_do(hash_of):
    code = 'def check(x):\n    if x > 1:\n        raise ValueError(f"{x}: too large")\n'
    other = code.replace("too large", "larger than 1")
    one = hash_of(rates=MODULES["rates.py"] + code)
    assert one == hash_of(rates=MODULES["rates.py"] + other), "a message would rerun the study"
    assert one != hash_of(rates=MODULES["rates.py"] + code.replace("x > 1", "x > 2"))


def test_a_new_method_descriptor_does_not_count(hash_of):
    step = f"from trainorder.config.methods import METHODS\n{MODULES['step.py']}"
    one = 'ALL = (Method("a"),)\nMETHODS = {m.name: m for m in ALL}\n'
    two = one.replace('Method("a"),', 'Method("a"), Method("b"),')
    before = hash_of(step=step, **{"config/methods": one})
    assert before == hash_of(step=step, **{"config/methods": two}), "it would rerun the study"
    renamed = one.replace("m.name:", "m.label:")
    assert before != hash_of(step=step, **{"config/methods": renamed})


def test_an_edit_of_an_estimator_counts_for_its_own_jobs_only(tmp_path, monkeypatch):
    copy = tmp_path / "trainorder"
    shutil.copytree(ROOT / "lib/trainorder", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_hash, "PACKAGE", copy)
    script = tmp_path / "estimate.py"
    shutil.copy(ROOT / "scripts/estimate.py", script)

    def hashes():
        code_hash._content.cache_clear()
        return {
            name: code_hash.code_hash(script, method.implementation)
            for name, method in METHODS.items()
            if method.rule == "estimate"
        }

    before = hashes()
    with (copy / "estimators/fut.py").open("a") as file:
        file.write("X = 1\n")
    after = hashes()
    assert {name for name in before if before[name] != after[name]} == {"fut", "fut++"}


def test_the_docstring_of_a_field_does_not_count(hash_of):
    before = MODULES["rates.py"]
    assert hash_of(rates=before + '"""In steps."""\n') == hash_of(rates=before)
