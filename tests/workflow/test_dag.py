"""The workflow as a whole: what runs, what runs again after an edit, and what does not."""

import re

import pytest

from configs import config
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from workflow_tree import ROOT, SMOKE, by_hand, contents

PRESETS = sorted(path.name for path in (ROOT / "presets").glob("*.yaml"))
pytestmark = pytest.mark.study


def test_the_smoke_study_writes_every_documented_file(finished):
    named = re.findall(r"^\| `([^`]+)`", (ROOT / "docs/architecture.md").read_text(), re.M)
    files = [name for name in named if re.fullmatch(r"[\w/.-]+\.(json|csv|h5)", name)]
    assert "validation.json" in {path.name for path in finished.results.iterdir()}
    for name in files:
        pattern = name.replace("table-N", "table-*").replace("N.h5", "*.h5")
        assert list(finished.results.glob(pattern)), f"{name} was not written"
    for suffix in ("pdf", "png"):
        assert list(finished.results.glob(f"figures/*.{suffix}"))


def test_a_finished_study_leaves_no_trainer_state_and_no_half_written_file(finished):
    left = list(finished.results.rglob("*.partial"))
    work = finished.results / ".work"
    left += [path for path in work.rglob("*") if path.is_file()] if work.exists() else []
    assert not left, f"left behind: {left}"


def test_a_second_run_has_nothing_to_do(finished):
    status, output = finished.snakemake("--cores", "2", *SMOKE)
    assert status == 0, output
    assert "Nothing to be done" in output, output


def test_asking_for_the_figures_of_a_finished_study_runs_nothing(finished):
    assert finished.plan("figures", *SMOKE).jobs == {}


def test_named_figures_are_drawn_again_and_no_others(study):
    files = {path: path.stat().st_mtime_ns for path in (study.results / "figures").iterdir()}
    contents = {path: path.read_bytes() for path in files}
    asked = ["--config", "figures=[overview,order_lds]"]
    status, output = study.snakemake("figures", "--cores", "1", *SMOKE, *asked)
    assert status == 0, output
    assert "1 of 1 steps (100%) done" in output, f"more jobs than the figures ran: {output}"
    drawn = {path.stem for path, time in files.items() if path.stat().st_mtime_ns != time}
    assert drawn == {"overview", "order_lds"}
    assert contents == {path: path.read_bytes() for path in files}, "other bytes"
    assert study.plan("figures", *SMOKE).jobs == {}, "all figures are drawn again"


def test_an_unknown_figure_is_one_line(finished):
    status, output = finished.snakemake("figures", "-n", *SMOKE, "--config", "figures=magic")
    assert status != 0
    assert "error: figures: 'magic' is unknown; choose from overview, " in output
    assert "Traceback" not in output


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_can_be_planned_from_nothing(finished, preset):
    overrides = ["--configfile", f"presets/{preset}", "--config", "study=planned"]
    assert everything(finished.plan(*overrides).jobs)


def test_the_default_study_can_be_planned_from_nothing(finished):
    assert everything(finished.plan("--config", "study=planned").jobs)


def everything(jobs):
    """Return whether a plan contains the stages that every study has."""
    stages = {"corpus", "warm", "orders", "reference", "manifest", "estimate", "truth"}
    return set(jobs) >= stages | {"predictability", "validate", "figures"}


def test_predictability_needs_no_expansion_and_no_truth(finished):
    plan = finished.plan("predictability", "--config", "study=planned")
    needed = {"corpus", "warm", "orders", "reference", "predictability"}
    assert set(plan.jobs) - {"fetch"} == needed


def test_what_to_expect_is_measured_before_estimates_are_paid_for():
    """Of the jobs that can start, those of predictability start first."""
    assert with_priority("FIRST") == {"orders", "reference", "predictability"}


def test_jobs_of_the_verdict_start_before_those_of_the_search_and_the_maps(finished):
    second = with_priority("SECOND")
    assert {"truth", "ladder", "estimate", "validate"} <= second
    needed = set(finished.plan("validate", "--config", "study=planned").jobs)
    assert second <= needed, "the verdict does not need all of these"
    others = {"position_truth", "candidate_truth", "fresh_truth"}
    assert with_priority("0") == others, "a rule made from `truth` would start as early as it"


def with_priority(value):
    """Return the rules that state a priority."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    blocks = re.split(r"^ *(?:use rule \w+ as|rule) (?=\w)", text, flags=re.MULTILINE)[1:]
    return {
        re.match(r"\w+", block)[0]
        for block in blocks
        if re.search(rf"^ *priority: {value}$", block, re.MULTILINE)
    }


def test_the_report_is_built_offline(finished, tmp_path):
    report = tmp_path / "workflow.html"
    status, output = finished.snakemake(*SMOKE, "--report", str(report))
    assert status == 0, output
    page = report.read_text(encoding="utf-8")
    for figure in (finished.results / "figures").glob("*.png"):
        assert figure.name in page, f"{figure.name} is not in the report"
    first = (finished.results / "figures/first_page.html").read_text(encoding="utf-8")
    question = re.search(r"<h1>(.*?)</h1>", first)[1]
    assert question in page, "the report does not open with the first page"


EDITS = {  # a file of the library, an edit that changes what it does, the rules that use the file
    "numerics/countsketch.py": (
        "SEED = 20250522",
        "SEED = 20250523",
        {"proxy_orders", "residuals", "clusters", "effects", "position_truth"},
    ),
    "estimators/baselines/ridge.py": (
        "np.logspace(2, -8, 41)",
        "np.logspace(2, -8, 21)",
        {"ridge"},
    ),
    "data/packing.py": ("_NEAR = 200", "_NEAR = 201", {"corpus"}),
    "data/text_files.py": (
        "_DOCUMENT_CHARACTERS = 2000",
        "_DOCUMENT_CHARACTERS = 2001",
        {"corpus"},
    ),
    "data/packages.py": ("_SHORTEST_SCENE = 400", "_SHORTEST_SCENE = 401", {"corpus"}),
    "figures/style.py": ("SMALLEST = 5.0", "SMALLEST = 5.5", {"figures"}),
    "figures/overview.rst": ("*What it means:*", "*Meaning:*", {"figures"}),
    "report/report.css": ("margin: 0;", "margin: 1px;", {"report_page"}),
    "explorer/template.html": ("</title>", "!</title>", {"explorer"}),
    "explorer/explorer.js": ('"use strict";', '"use strict"; ', {"explorer"}),
    "curvature/reduced_model.py": ("BATCH = 2048", "BATCH = 1024", {"reduced"}),
    "estimators/adjoint.py": ("BATCH = 2048", "BATCH = 1024", {"effects"}),
    "estimators/fut.py": ("if t == 0:", "if t < 1:", {"estimate"}),
    "compression/jl.py": ("SEED = 20250522", "SEED = 20250523", {"stores"}),
    "numerics/resampling.py": (
        "= np.inf\n",
        "= np.nan\n",
        {"probes", "predictability", "positions"},
    ),
}


@pytest.fixture(scope="module")
def downstream(finished):
    """Return, by rule, the rules that read its outputs, directly or through other rules."""
    status, graph = finished.snakemake(*SMOKE, "--rulegraph", "dot")
    assert status == 0, graph
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    readers = {name: set() for name in names.values()}
    for writer, reader in re.findall(r"(\d+) -> (\d+)", graph):
        readers[names[writer]].add(names[reader])
    return {rule: closure(rule, readers) - {"all"} for rule in readers}


def closure(rule, readers):
    """Return the rules that are reached from a rule."""
    reached, queue = set(), [rule]
    while queue:
        new = readers[queue.pop()] - reached
        reached |= new
        queue += new
    return reached


def test_the_plan_waits_for_the_stages_that_the_rules_wait_for(downstream):
    sizes = Sizes(config("smoke"))
    estimates = {f"estimate/{e.name}": e.descriptor.rule for e in sizes.estimators}

    def rule_of(stage):
        return estimates.get(stage, stage.split("/")[0])

    for stage in stages(sizes):
        for before in stage.after:
            readers = downstream[rule_of(before)]
            assert rule_of(stage.name) in readers, f"no rule {stage.name} waits for {before}"


@pytest.mark.parametrize("module", EDITS)
def test_editing_a_file_reruns_the_rules_that_use_it_and_no_others(study, downstream, module):
    old, new, using = EDITS[module]
    study.edit(f"lib/trainorder/{module}", old, new)
    plan = study.plan(*SMOKE)
    assert plan.changed == using, f"the code hashes do not follow the use of {module}"
    follow = set().union(*(downstream[rule] for rule in using))
    assert set(plan.jobs) <= using | follow, "rules rerun that the edit cannot reach"


def test_editing_comments_and_docstrings_reruns_nothing(study):
    """Nor does a script that is newer than its results, as after an update of the package."""
    for file in (*(study.root / "lib").rglob("*.py"), *(study.root / "scripts").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        text = re.sub(r'\A"""', '"""Edited: ', text, count=1)
        file.write_text(f"{text}\n# edited\n", encoding="utf-8")
    assert study.plan(*SMOKE).jobs == {}


def test_validation_of_the_same_files_gives_the_same_bytes(study):
    before = contents(study.results)
    assert by_hand(study, "validate", study.job("validate")).code == 0
    assert contents(study.results) == before, "validation draws other random numbers each time"
