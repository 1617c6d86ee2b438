"""The benchmark runs missing studies, collects result files, and is quoted in the docs."""

import importlib.util
import shutil

import pytest
import torch

from bench import bench
from bench.performance import adamw_bytes, nystrom_bytes, order0_bytes, profile
from bench.studies import Study
from low_rank_study import make_study
from trainorder.config.config_hash import config_hash
from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json
from workflow_tree import ROOT

pytestmark = pytest.mark.slow

MEASURED = {
    "study": "default", "parameters": 345_696, "steps": 32, "units": 32, "sequences_per_unit": 8,
    "threads": 1, "peak_bytes": 500_000_000,
    "gradients": {
        "training_units_per_second": 20.0, "table_units_per_second": 19.0,
        "written_units_per_second": 17.0, "ratio": 0.95, "written_ratio": 0.85,
        "retraining_seconds": 1.6,
    },
    "replay": {
        "orders": 32, "copy_bytes_per_second": 1e10, "matmul_flops_per_second": 3e10,
        "order0": {"bytes_per_second": 5e9, "of_bandwidth": 0.5},
        "nystrom": {"bytes_per_second": 4e9, "of_bandwidth": 0.4, "of_matmul": 0.8},
    },
    "reduced": {"threads": 2, "schedules_per_second": 6000.0},
    "profile": {
        "gradients": [{"operator": "aten::mm", "share": 0.5, "calls": 90}],
        "nystrom": [{"operator": "aten::addmm", "share": 0.7, "calls": 64}],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Return result folders of synthetic studies by name."""
    names = [*bench.SEEDS, *bench.BESIDE]
    return {
        name: make_study(tmp_path_factory.mktemp(name), seed).results
        for seed, name in enumerate(names)
    }


@pytest.fixture
def finished(top, studies, monkeypatch):
    """Put the synthetic studies into the top folder; return the names of those that ran."""
    ran = []
    for name, folder in studies.items():
        shutil.copytree(folder, top / "results" / name)
    monkeypatch.setattr(bench, "run", lambda study, cores: ran.append(study.name))
    monkeypatch.setattr(bench, "measure", lambda study: {**MEASURED, "study": study.name})
    return ran


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Return a folder that keeps the output of the benchmark for all tests."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture
def collected(finished, top, output):
    """Run the benchmark once for all tests, in the top folder; each test has a copy."""
    if not any(output.iterdir()):
        bench.main([])
        shutil.copytree(top / "results/bench", output, dirs_exist_ok=True)
        (output / "ran.txt").write_text(" ".join(finished))
    shutil.copytree(output, top / "results/bench", dirs_exist_ok=True)
    return (output / "ran.txt").read_text().split()


def test_a_profile_names_the_operators_that_take_the_time():
    a = torch.ones(300, 300)
    operators = profile(lambda: [a @ a for _ in range(20)] and a.sum())
    assert operators[0]["operator"] == "aten::mm", f"products take the time, not {operators[0]}"
    assert operators[0]["calls"] == 20
    assert 0.5 < operators[0]["share"] <= 1
    shares = [entry["share"] for entry in operators]
    assert shares == sorted(shares, reverse=True)


def test_everything_is_run_measured_and_collected(collected, top):
    assert collected == [*bench.SEEDS, *bench.BESIDE]
    record = read_json(top / "results/bench/bench.json")
    assert len(record["rows"]) == 8
    assert set(record["studies"]) == {*bench.SEEDS, *bench.BESIDE}
    assert record["performance"]["measured"]["study"] == "default"
    for study in record["studies"].values():
        assert study["versions"]["torch"]
        assert study["machine"]["cores"]
        assert study["spread"]["heldout"]["std"] > 0
        assert study["peak_bytes"]["bytes"] > 0
    table = (top / "results/bench/table.md").read_text()
    assert table.count("\n| order-LDS of `heldout`") == 2 * 3, "not each row is in both tables"
    assert "| `ridge` |" in table
    assert "0.95 of training (target 0.9: pass)" in table


def test_collecting_runs_nothing_and_gives_the_same(finished, collected, top):
    first, count = read_json(top / "results/bench/bench.json"), len(finished)
    bench.main(["--collect"])
    assert len(finished) == count
    assert read_json(top / "results/bench/bench.json") == first


def test_a_missing_study_raises_one_line(collected, top):
    (top / "results/wider/validation.json").unlink()
    with pytest.raises(SystemExit) as ended:
        bench.main(["--collect"])
    assert str(ended.value).startswith("error: results/wider/validation.json: no such file")


def test_a_failed_study_raises_one_line_and_the_next_is_not_started(finished, top, monkeypatch):
    def fail(study, cores):
        finished.append(study.name)
        raise UserError(f"study {study.name}: boom")

    monkeypatch.setattr(bench, "run", fail)
    with pytest.raises(SystemExit, match="error: study default: boom"):
        bench.main([])
    assert finished == ["default"]


def test_collecting_without_a_measurement_raises_one_line(finished, top):
    with pytest.raises(SystemExit, match=r"error: .*performance.json: no such file"):
        bench.main(["--collect"])


def test_the_least_bytes_of_a_step_are_those_of_its_arrays():
    size, units, orders, rank = 10, 3, 2, 4
    update = 4 * orders * (1 + 3 * 2) * size  # gradient; parameters and two moments, there and back
    assert adamw_bytes(size, orders) == update
    assert order0_bytes(size, units, orders) == 4 * size * (units + orders) + update
    vectors = rank + 2 + 2 * orders  # bases, centre and mean, parameters and gradients
    assert nystrom_bytes(size, rank, orders) == 4 * size * vectors + update


QUOTING = ("README.md", "docs/performance.md", "docs/choose_estimator.md")


@pytest.fixture
def quote(top, monkeypatch):
    """Return the module that quotes, writing to copies of the pages."""
    spec = importlib.util.spec_from_file_location("quote", ROOT / "docs/quote_results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (top / "docs/figures").mkdir(parents=True, exist_ok=True)
    for page in QUOTING:
        shutil.copy(ROOT / page, top / page)
    monkeypatch.setattr(module, "TOP", top)
    monkeypatch.setattr(module, "DOCS", top / "docs")
    monkeypatch.setattr("sys.argv", ["quote_results.py"])
    return module


def outside_of_marks(page, name):
    """Return the text of a page before and after the quoted part `name`."""
    return page.split(f"<!-- {name} -->")[0], page.split(f"<!-- /{name} -->")[1]


def test_the_page_on_performance_quotes_the_benchmark(collected, quote, top):
    page = top / "docs/performance.md"
    before = page.read_text()
    quote.main()
    after = page.read_text()
    assert "| at least 0.92 |" in after
    assert "6,000" in after
    assert "Not measured yet" not in after
    assert outside_of_marks(after, "speed")[1] == outside_of_marks(before, "speed")[1]
    quote.main()
    assert page.read_text() == after, "quoting twice changes the page"


def test_a_single_study_is_quoted_with_the_hash_of_its_configuration(
    finished, quote, top, monkeypatch
):
    figure = top / "results/wider/figures/overview.png"
    figure.parent.mkdir(parents=True, exist_ok=True)
    figure.write_bytes(b"png")
    monkeypatch.setattr("sys.argv", ["quote_results.py", "results/wider"])
    before = (top / "README.md").read_text()
    quote.main()
    config = read_json(top / "results/wider/validation.json")["provenance"]["config"]
    for page in ("README.md", "docs/choose_estimator.md"):
        text = (top / page).read_text()
        assert "Study `synthetic`" in text
        assert f"configuration `{config_hash(config)}`" in text
    after = (top / "README.md").read_text()
    assert outside_of_marks(after, "results") == outside_of_marks(before, "results")
    assert (top / "docs/figures/overview.png").read_bytes() == b"png"


def test_quoting_without_a_benchmark_raises_one_line(quote):
    with pytest.raises(SystemExit, match=r"error: .*bench.json: no such file"):
        quote.main()


def test_a_study_without_a_file_raises_one_line(top):
    write_json(top / "results/mine/validation.json", {})
    with pytest.raises(UserError, match=r"results/mine/.*: no such file; rerun rule"):
        Study("mine").read()
