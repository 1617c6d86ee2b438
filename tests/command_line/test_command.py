"""The command `trainorder` starts Snakemake with the right arguments; its errors are one line."""

import ast
import sys

import pytest
from snakemake.cli import get_argument_parser
from snakemake.utils import available_cpu_count

from trainorder.command_line import main as command
from trainorder.config.loading import load_config
from trainorder.workflow.source import source_folder

NOTED = """\
import os, pathlib, sys
pathlib.Path("arguments").write_text(repr(sys.argv[1:]))
note = pathlib.Path(os.environ.get("TRAINORDER_RESULTS_NOTE", "unused"))
note.write_text(os.path.abspath("results/mine"))
"""
SMOKE = [f"{source_folder()}/{name}" for name in command.SMOKE]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a project in which a script that writes down its arguments replaces Snakemake."""
    script = tmp_path / "noted.py"
    script.write_text(NOTED)
    monkeypatch.setattr(command, "SNAKEMAKE", [sys.executable, str(script)])
    monkeypatch.chdir(tmp_path)
    assert command.main(["init"]) == 0
    return tmp_path


def understood(project, *arguments):
    """Run a command and return its arguments as Snakemake understands them."""
    assert command.main(arguments) == 0
    passed = ast.literal_eval((project / "arguments").read_text())
    parsed = get_argument_parser().parse_args(passed)
    assert parsed.logger == ["stages"], "the output of Snakemake is not short"
    return parsed


def test_commands_ask_snakemake_for_their_target(project):
    (project / "mine.json").write_text("[]")
    assert not understood(project, "run").targets
    for name in ("plan", "figures"):
        assert understood(project, name).targets == [name]
    assert understood(project, "report").targets == ["report_page"]
    what_if = understood(project, "what-if", "mine.json")
    assert (what_if.targets, what_if.config) == (["what_if"], ["orders=mine.json"])
    named = understood(project, "figures", "overview", "order_lds")
    assert (named.targets, named.config) == (["figures"], ["figures=overview,order_lds"])


@pytest.mark.parametrize("name", ["run", "plan", "figures"])
def test_the_number_of_cores_is_that_of_the_user_or_all(project, name):
    assert understood(project, name).cores == available_cpu_count()
    assert understood(project, name, "--cores", "5").cores == 5


@pytest.mark.parametrize("name", ["run", "plan", "figures"])
def test_arguments_after_two_dashes_go_to_snakemake(project, name):
    given = understood(project, name, "--", "--keep-going", "--configfile", "mine.yaml")
    assert given.keep_going
    assert [str(path) for path in given.configfile] == ["mine.yaml"]
    assert understood(project, "run", "--", "truth", "-p").targets == ["truth"]


@pytest.mark.parametrize("name", ["run", "plan", "figures"])
def test_smoke_gives_its_presets_on_top_of_all_defaults(project, name):
    """Then no key of the project's configuration counts."""
    given = understood(project, name, "--smoke", "--", "--keep-going")
    assert [str(path) for path in given.configfile] == SMOKE
    smoke = load_config(*SMOKE)
    assert smoke["study"] == "installation"
    assert smoke.keys() == load_config(source_folder() / "config.yaml").keys()


def error_line(capfd, *arguments):
    """Return the only line that a command that fails prints."""
    try:
        status = command.main(arguments)
    except SystemExit as end:
        status = end.code
    captured = capfd.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert status, f"{arguments} did not fail"
    assert len(lines) == 1, f"not one line: {lines}"
    assert lines[0].startswith("error: ")
    return lines[0]


def test_without_snakemake_the_error_says_what_to_install(project, capfd, monkeypatch):
    capfd.readouterr()
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    for name in ("run", "plan", "figures", "report"):
        assert 'pip install "trainorder[study]"' in error_line(capfd, name)


def test_mistakes_are_one_line_that_names_them(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert "trainorder init FOLDER" in error_line(capfd, "run")
    (tmp_path / "Snakefile").touch()
    assert "other.json" in error_line(capfd, "what-if", "other.json")
    assert "invalid choice: 'runn'" in error_line(capfd, "runn")
    assert "--configfile" in error_line(capfd, "run", "--configfile", "mine.yaml")
    assert "COMMAND" in error_line(capfd)


def test_a_snakefile_elsewhere_can_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "SNAKEMAKE", [sys.executable, "-c", "pass"])
    assert command.main(["plan", "--", "-s", "other/Snakefile"]) == 0


@pytest.mark.parametrize("name", ["", "init", "run", "plan", "what-if", "figures", "report"])
def test_every_command_has_help(name, capfd):
    with pytest.raises(SystemExit) as end:
        command.main([name, "--help"] if name else ["--help"])
    assert end.value.code == 0
    assert f"usage: trainorder {name}".strip() in capfd.readouterr().out


def test_the_folder_of_the_workflow_is_printed(capfd):
    with pytest.raises(SystemExit) as end:
        command.main(["--source"])
    assert end.value.code == 0
    assert capfd.readouterr().out == f"{source_folder()}\n", "not on standard output, for $(...)"
