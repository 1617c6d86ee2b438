"""Measured pages name the configuration of their numbers, which is the current one."""

from pathlib import Path

import pytest

from bench import (
    applications,
    bench,
    grid_page,
    leave_out,
    leave_out_page,
    poisoned,
    predictability_page,
    pretrained_page,
    pretrained_rows,
    published,
    published_page,
    regime,
    stack,
    stack_page,
    studies,
    sweep_page,
    transfer_page,
)
from bench.applications_page import markdown as applications_markdown
from bench.config_hash import config_hash
from bench.studies import Study, seeded
from trainorder.config.loading import load_config
from trainorder.storage.formats import read_json

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs/measured"
# Pages that need a new measurement. Remove a page from this list when it is measured.
OUTDATED = {
    "docs/measured/ablation.md",
    "docs/measured/sweep.md",
}


def default():
    return load_config("config.yaml")


def shown(grid):
    """Return the present configurations of the studies that the page of a grid shows."""
    record = read_json(MEASURED / f"{grid.name}.json")
    labels = {cell["label"] for cell in record.get("cells", ())}
    return [cell.study.config() for cell in grid.cells if cell.label in labels]


def measured_configs(grid):
    """Return the configurations that the page of a grid must name; none before the first row."""
    return [configs] if (configs := shown(grid)) else []


CURRENT = {  # the configurations of each page, as they are now
    "README.md": lambda: [[default()]],
    "docs/choose_estimator.md": lambda: [[default()]],
    "docs/orders.md": lambda: [[default()]],
    "docs/positions.md": lambda: [[load_config("config.yaml", "presets/poisoned.yaml")]],
    "docs/measured/plan.md": lambda: [[default()]],
    "docs/measured/applications.md": lambda: [shown(applications.grid())],
    "docs/measured/regime.md": lambda: [shown(regime.grid("regime"))],
    "docs/measured/ablation.md": lambda: [shown(regime.grid("ablation"))],
    "docs/measured/transfer.md": lambda: [shown(bench.grid())],
    "docs/measured/pretrained.md": lambda: measured_configs(pretrained_rows.grid()),
    "docs/measured/recording.md": lambda: [],  # it measures no study
    "docs/measured/published.md": lambda: measured_configs(published.grid()),
    "docs/measured/sweep.md": lambda: [
        [Study("sweep", preset, seeded(0)).config()] for preset in ("", "wider")
    ],
}


@pytest.fixture(autouse=True)
def top(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(studies, "FOLDER", tmp_path)  # layers of configurations are written there


GRIDS = {
    "applications": applications.grid,
    "bench": bench.grid,
    "pretrained": pretrained_rows.grid,
    "published": published.grid,
    "regime": lambda: regime.grid("regime"),
    "ablation": lambda: regime.grid("ablation"),
}


@pytest.mark.parametrize("grid", GRIDS)
def test_every_study_of_a_grid_runs_under_its_own_name(grid):
    """Results are looked up by the name of the study, which a layer must not replace."""
    for cell in GRIDS[grid]().cells:
        assert cell.study.config()["study"] == cell.study.name, (
            f"{cell.label}: Snakemake writes into another folder than the benchmark reads"
        )


@pytest.mark.parametrize("page", CURRENT)
def test_a_measured_page_has_the_hash_of_the_current_configuration(page, request):
    if page in OUTDATED:
        request.applymarker(pytest.mark.xfail(reason="measured with an older configuration"))
    text = (ROOT / page).read_text(encoding="utf-8")
    for configs in CURRENT[page]():
        assert f"`{config_hash(*configs)}`" in text, f"{page}: measured with another configuration"


@pytest.mark.parametrize("page", sorted(OUTDATED))
def test_a_page_is_called_outdated_only_while_it_is(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    current = all(f"`{config_hash(*configs)}`" in text for configs in CURRENT[page]())
    assert not current, f"{page} is current; remove it from OUTDATED"


def test_the_quoted_record_of_the_default_study_has_the_current_configuration():
    record = read_json(MEASURED / "default.json")
    assert config_hash(record["config"]) == config_hash(default()), "run docs/quote_results.py"


def test_every_measured_page_is_compared():
    pages = {f"docs/measured/{path.name}" for path in MEASURED.glob("*.md")}
    assert pages <= set(CURRENT)


@pytest.mark.parametrize(
    ("name", "markdown"),
    [
        ("regime", grid_page.markdown),
        ("ablation", grid_page.markdown),
        ("transfer", lambda record: transfer_page.markdown(record, bench.beside())),
        ("pretrained", pretrained_page.markdown),
        ("published", published_page.markdown),
        ("sweep", sweep_page.markdown),
        ("applications", applications_markdown),
    ],
)
def test_a_measured_page_is_made_from_its_record(name, markdown):
    text = (MEASURED / f"{name}.md").read_text(encoding="utf-8")
    record = read_json(MEASURED / f"{name}.json")
    if "cells" not in record and f"docs/measured/{name}.md" in OUTDATED:
        pytest.skip("measured by an earlier version")
    assert text == markdown(record), f"make docs/measured/{name}.md"


@pytest.mark.parametrize(
    ("command", "markdown"),
    [
        (stack, stack_page.markdown),
        (poisoned, poisoned.markdown),
        (leave_out, leave_out_page.markdown),
    ],
    ids=lambda one: getattr(one, "MARK", ""),
)
def test_a_measured_section_is_made_from_its_record(command, markdown):
    if not (ROOT / command.OUTPUT).is_file():
        pytest.skip("not measured yet")
    mark, text = command.MARK, (ROOT / command.PAGE).read_text(encoding="utf-8")
    record = read_json(ROOT / command.OUTPUT)
    section = text.split(f"<!-- {mark} -->")[1]
    assert section.startswith(f"\n{markdown(record)}\n<!-- /{mark} -->")


def test_what_a_new_study_is_told_is_made_from_the_measured_rows():
    studies = bench.reached(read_json(MEASURED / f"{bench.PAGE}.json"))
    assert read_json(ROOT / bench.RULE) == {"studies": studies}, "make bench ARGS=--page"
    table = (ROOT / bench.CLASSES).read_text(encoding="utf-8").split("<!-- classes -->")[1]
    assert table.startswith(f"\n{predictability_page.markdown(studies)}\n<!-- /classes -->"), (
        "make bench ARGS=--page"
    )


def test_the_rule_is_shown_beside_studies_that_it_was_not_made_from():
    studies = bench.reached(read_json(MEASURED / f"{bench.PAGE}.json"))
    others = bench.further_studies(bench.beside())
    assert not {one["study"] for one in studies} & {one["study"] for one in others}
    section = (ROOT / bench.CLASSES).read_text(encoding="utf-8").split("<!-- checked -->")[1]
    assert section.startswith(f"\n{predictability_page.checked(studies, others)}\n<!-- /"), (
        "make bench ARGS=--page"
    )


def test_the_hash_ignores_sections_that_do_not_change_numbers():
    config = {"study": "a", "seeds": {"init": 0}, "threads": 1}
    assert config_hash(config) == config_hash({**config, "study": "b", "threads": 8})
    assert config_hash(config) != config_hash({**config, "seeds": {"init": 1}})
    assert config_hash(config) != config_hash(config, config)


def test_averaged_weights_count_only_where_a_study_has_them():
    config = {"seeds": {"init": 0}}
    assert config_hash(config) == config_hash({**config, "averaged_states": None})
    assert config_hash(config) != config_hash({**config, "averaged_states": 4})


def test_losses_at_every_step_count_only_where_a_study_takes_them():
    config = {"seeds": {"init": 0}}
    assert config_hash(config) == config_hash({**config, "stepwise_losses": False})
    assert config_hash(config) != config_hash({**config, "stepwise_losses": True})


def test_a_multiple_choice_task_counts_only_where_a_study_has_one():
    config = {"seeds": {"init": 0}}
    assert config_hash(config) == config_hash({**config, "multiple_choice": None})
    assert config_hash(config) != config_hash({**config, "multiple_choice": 4})


def test_orders_of_the_literature_count_only_where_a_study_has_them():
    config = {"curriculum": {"rounds": 3, "furthest": None}}
    without, having = (
        {"curriculum": {**config["curriculum"], "literature": families}}
        for families in ([], ["worst"])
    )
    assert config_hash(config) == config_hash(without)
    assert config_hash(config) != config_hash(having)
    assert config_hash({"curriculum": None}) != config_hash(config)


ESTIMATORS = {"corrected": "reference", "taylor1": "barycentre", "nystrom": "barycentre"}


@pytest.mark.parametrize(
    ("method", "section", "counts"),
    [
        ("corrected", "curvature", False),
        ("corrected", "expansion", False),
        ("taylor1", "expansion", True),
        ("taylor1", "curvature", False),
        ("nystrom", "curvature", True),
    ],
)
def test_a_section_counts_only_if_an_estimator_reads_it(method, section, counts):
    config = {"estimators": [{"method": method, "path": ESTIMATORS[method]}], section: {"pool": 2}}
    changed = config_hash({**config, section: {"pool": 3}}) != config_hash(config)
    assert changed == counts


def test_a_pool_of_both_sections_counts_as_when_it_was_one_key():
    """Records from before `curvature.pool` stay valid where the configuration means the same."""
    sections = {
        "estimators": [{"method": "nystrom", "path": "barycentre"}],
        "expansion": {"pool": 20},
        "ladder": {"precompute": 16},
    }

    def hashed(**curvature):
        return config_hash({**sections, "curvature": {"rank": "auto"} | curvature})

    before = hashed(anchors=1)
    assert hashed(anchors=1, pool=20) == before
    assert hashed(anchors=1, pool=16) != before, "another pool than that of the path"
    assert hashed(anchors=1, pool="auto") != before, "pools grow"
    assert hashed(anchors="auto", pool=20) != before, "probed steps grow"
    fixed = {"rank": 96}
    assert hashed(**fixed, anchors="auto", pool="auto") == hashed(**fixed, anchors=1, pool=20)


@pytest.mark.parametrize("method", ["corrected", "order0", "nystrom"])
def test_the_budget_of_the_rank_counts_only_where_an_estimator_reads_the_curvature(method):
    entry = {"method": method, "path": "reference"}

    def hashed(rank, **ladder):
        curvature = {"basis": 192, "rank": rank}
        return config_hash({"estimators": [entry], "curvature": curvature, "ladder": ladder})

    reads = method == "nystrom"
    former = hashed(96, per_order=0.34)  # before there was a budget of the precompute
    assert hashed(96, per_order=0.34, precompute=8) == former, "a number of probes has no budget"
    assert (hashed("auto", per_order=0.34, precompute=16) == former) != reads
    budgets = [hashed("auto", per_order=0.34, precompute=n) for n in (16, 8)]
    assert (budgets[0] == budgets[1]) != reads


def test_another_budget_of_the_ladder_is_another_configuration():
    config = {"seeds": {"init": 0}}
    assert config_hash(config) == config_hash({**config, "ladder": {"per_order": 0.34}})
    assert config_hash(config) != config_hash({**config, "ladder": {"per_order": 0.25}})
