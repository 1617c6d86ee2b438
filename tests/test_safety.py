"""The code runs nothing that it reads: no pickle, no unpacking by name, no file name in a shell."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for name in ("lib", "scripts", "bench") for path in ROOT.glob(f"{name}/**/*.py")
)
RULES = [ROOT / "Snakefile", *sorted(ROOT.glob("rules/*.smk"))]
UNPICKLING = {"pickle", "cPickle", "_pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib"}
RUNNING = {"eval", "exec", "compile", "system", "popen", "spawnl", "execv", "getoutput"}
LOADING = {("torch", "load"), ("np", "load"), ("pickle", "loads"), ("yaml", "load")}
UNPACKING = {"extractall", "unpack_archive"}


def called(node):
    """Return the owner (a module or object) and the name of the function that a call invokes."""
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value
        return (owner.id if isinstance(owner, ast.Name) else ""), node.func.attr
    return "", node.func.id if isinstance(node.func, ast.Name) else ""


def is_safe_load(owner, name, options):
    """Return whether a call loads an array file in which no object can be."""
    option, value = {"torch": ("weights_only", True), "np": ("allow_pickle", False)}.get(
        owner if name == "load" else "", ("", None)
    )
    given = options.get(option)
    return isinstance(given, ast.Constant) and given.value is value


def loads_pickles(node):
    """Return whether an import gives a function that loads pickles."""
    names = [alias.name for alias in node.names]
    module = getattr(node, "module", None) or ""
    if module == "pickle" and names == ["UnpicklingError"]:
        return False
    return bool(UNPICKLING & {name.split(".")[0] for name in [*names, module]})


def offences(tree):
    """Yield each forbidden construct with its line number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and loads_pickles(node):
            yield node.lineno, "imports a module that loads pickles"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, offence) for offence in offences_of_call(node))


def offences_of_call(node):
    """Yield what is forbidden in a call."""
    owner, name = called(node)
    options = {option.arg: option.value for option in node.keywords}
    is_load = (owner, name) in LOADING and not is_safe_load(owner, name, options)
    if is_load or name in UNPACKING:
        yield f"{owner}.{name} may run code from a file or write where it says"
    if (owner in ("", "os", "subprocess") and name in RUNNING) or "shell" in options:
        yield f"{owner}.{name} runs text as a command"
    if owner == "subprocess" and isinstance(node.args[0], ast.Constant | ast.JoinedStr):
        yield "a command is text instead of a list"
    allowed = options.get("trust_remote_code") or options.get("allow_pickle")
    if allowed is not None and not (isinstance(allowed, ast.Constant) and allowed.value is False):
        yield "allows code or pickles from a download"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_loads_a_pickle_or_hands_text_to_a_shell(path):
    assert not list(offences(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads, UnpicklingError",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=safe)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "archive.extractall()",
        "os.system(name)",
        "eval(text)",
        "subprocess.run(f'ls {name}', shell=True)",
        "subprocess.run('ls')",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_the_check_detects_what_is_forbidden(code):
    assert list(offences(ast.parse(code)))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_run_scripts_and_no_shell(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^ +(shell|run|wrapper):|\bshell\(|os\.system|pickle", text, re.M)
