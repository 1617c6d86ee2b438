"""Jobs start fast: a script imports expensive libraries only if its job needs them."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = (
    *("bundle", "corpus", "curriculum", "fetch", "figures", "manifest", "memorization"),
    *("positions", "proxy", "replicates", "report_page", "ridge", "simfluence", "validate"),
)
IMPORTS = """
import ast, pathlib, sys
for name in sys.argv[1:]:
    script = pathlib.Path("scripts", f"{name}.py")
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    exec(compile(ast.Module(imports, []), str(script), "exec"))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported_by(*scripts):
    """Return the packages that the import statements of some scripts load."""
    command = [sys.executable, "-c", IMPORTS, *scripts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_scripts_without_tensors_do_not_import_torch():
    packages = imported_by(*WITHOUT_TORCH)
    assert "torch" not in packages, "these jobs would take seconds longer to start"


def test_no_script_imports_transformers_before_it_builds_a_model():
    scripts = [path.stem for path in (ROOT / "scripts").glob("*.py")]
    packages = imported_by(*scripts)
    assert "torch" in packages
    slow = packages & {"transformers", "peft", "datasets"}
    assert not slow, f"{slow}: jobs without a model would take seconds longer to start"
