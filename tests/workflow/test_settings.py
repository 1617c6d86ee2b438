"""The settings of a study: files, shards, keys and resources follow from the configuration."""

import ast
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import ROOT, config, replaced
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER
from trainorder.errors import UserError
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.invocation import Invocation, one_line_errors
from trainorder.workflow.job_resources import JobResources, keep_freed_memory, vectors_mb
from trainorder.workflow.keys import StudyKeys, check_origin
from trainorder.workflow.resolved_config import resolved_config
from trainorder.workflow.settings import Settings

HERE = Invocation(basedir=ROOT, cores=2)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in an empty folder, where no results are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(name="smoke", invocation=HERE, **values):
    return Settings.checked(config(name, **values), invocation)


def shard(number):
    return SimpleNamespace(shard=str(number))


def test_the_library_does_not_import_snakemake():
    for path in (ROOT / "lib/trainorder").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0].startswith("snakemake")], path


def test_the_keys_of_stored_files_are_those_of_version_0_1_0():
    smoke = config("smoke", window__poisoned=0, multiple_choice=None)  # which it did not have
    assert StudyKeys.of(smoke) == StudyKeys("ee61f91c686b31ca", "8771c55a663ad155")
    assert StudyKeys.of(config()) == StudyKeys("ccbac5cd94fd4bfb", "56f138d097fb452a")


def test_a_key_that_was_added_later_counts_only_where_it_is_set():
    study = config("smoke")
    old = {key: value for key, value in study["optimizer"].items() if key != "horizon"}
    before = StudyKeys.of(study | {"optimizer": old})
    assert StudyKeys.of(study) == before
    assert StudyKeys.of(replaced(study, optimizer__horizon=99)).study != before.study


def test_the_corpus_does_not_depend_on_the_model_but_the_study_does():
    one, other = settings().keys, settings(model__layers=3).keys
    assert one.corpus == other.corpus
    assert one.study != other.study


def test_stored_files_of_another_configuration_raise_unless_snakemake_made_them(folder):
    keys = StudyKeys("0" * 16, "1" * 16)
    write_arrays(folder / "results/copied/corpus.h5", "2" * 16, {})
    with pytest.raises(UserError, match=r"results/copied/corpus.h5: computed elsewhere"):
        check_origin("results/copied", keys)
    check_origin("results/other", keys)


def test_every_estimator_has_its_jobs_and_its_costs():
    study = settings()
    for name in study.estimators:
        for number in range(study.estimate_shards(name)):
            assert f"results/smoke/estimates/{name}/{number}.h5" in study.estimate_files
            assert f"results/smoke/costs/estimate/{name}/{number}.json" in study.cost_files
    assert len(set(study.cost_files)) == len(study.cost_files)


def test_no_shard_of_the_proxy_or_of_moved_units_is_without_an_order():
    study = settings("default", shards__truth=32)
    assert len(study.truth_shards) == 32
    proxied = 8 + 1 + 8 + 8  # fit, the reference, calibration and random orders of `proxy`
    assert len(study.proxy_shards) == proxied, "a job without orders crashes"
    assert len(study.position_shards) == 1 + 3 * 8, "a job without orders crashes"
    costs = [path for path in study.cost_files if "/costs/proxy_orders/" in path]
    assert len(costs) == proxied, "costs of jobs that do not run are requested"
    few = settings("default", shards__truth=2)
    assert len(few.proxy_shards) == len(few.position_shards) == 2


def test_a_study_without_proxy_and_maps_has_no_shards_of_them():
    study = settings(
        estimators=[{"method": "order0", "path": "reference"}], curriculum=None, memorization=None
    )
    assert len(study.proxy_shards) == len(study.position_shards) == 0
    assert not [path for path in study.cost_files if "/costs/proxy_orders/" in path]


def test_maps_that_are_replayed_do_not_wait_for_the_reduced_model():
    reduced = "results/smoke/store/barycentre/reduced.h5"
    assert settings(memorization__estimator="reduced@barycentre").maps_predictor == reduced
    replayed = settings("default", memorization__estimator="nystrom@barycentre")
    assert replayed.maps_predictor == [], "rule `reduced` runs though no job reads its file"
    assert settings(curriculum=None, memorization=None).maps_predictor == []


def test_costs_of_stages_that_no_estimator_needs_are_not_requested():
    study = settings(
        estimators=[{"method": "taylor1", "path": "reference"}], curriculum=None, memorization=None
    )
    stages = {path.split("/")[3].removesuffix(".json") for path in study.cost_files}
    assert stages == {
        *("corpus", "warm", "orders", "predictability", "reference", "manifest", "truth"),
        "estimate",
    }
    assert study.table_paths == []
    assert study.expansion_paths == ["reference"]
    assert not study.has_stores
    assert not study.has_explorer


def test_the_table_of_the_reference_path_is_sharded_and_that_of_the_barycentre_is_not():
    study = settings(shards__table=2)
    assert len(study.tables("reference")) == 2
    assert len(study.tables("barycentre")) == 1


def test_without_an_existing_run_no_shard_reads_the_reference_path():
    assert settings().reference_path(shard(0)) == []


def test_the_first_shard_of_a_study_of_an_existing_run_reads_the_reference_path():
    study = Settings(settings().config, HERE, run_files=["run/checkpoint-1/model.safetensors"])
    assert study.reference_path(shard(0)) == "results/smoke/store/reference/path.h5"
    assert study.reference_path(shard(1)) == []


def test_the_packaged_model_is_an_input_before_it_exists():
    model = replaced(config("smoke"), model__source=PACKAGED_MODEL_FOLDER)
    model["estimators"] = [e for e in model["estimators"] if e["method"] != "proxy"]
    study = Settings(model, HERE, run_files=[])
    assert study.packaged_model
    assert study.model_files == study.packaged_model


def test_rates_are_read_from_their_file(folder):
    steps = config("smoke")["window"]["warmup_steps"] + config("smoke")["window"]["units"]
    rows = "".join(f"{step},{step / 8}\n" for step in range(steps + 5))
    (folder / "rates.csv").write_text(f"step,learning_rate\n{rows}")
    completed = settings(optimizer__rates="rates.csv").config["optimizer"]
    assert completed["rates"] == [step / 8 for step in range(steps)], "jobs get other rates"
    with pytest.raises(UserError, match=r"optimizer.rates: none.csv: no such file"):
        settings(optimizer__rates="none.csv")


@pytest.mark.parametrize(("given", "expected"), [(None, "norms_and_biases"), ("vectors",) * 2])
def test_a_run_of_the_trainer_exempts_norms_and_biases(given, expected, folder):
    def rule(**values):
        run = {"checkpoints": str(folder), "order": "order.json"}
        study = config("smoke", run=run, optimizer__no_decay=given, **values)
        return resolved_config(study, HERE)["optimizer"]["no_decay"]

    first = folder / f"checkpoint-{config('smoke')['window']['warmup_steps']}"
    first.mkdir()
    assert rule(optimizer__weight_decay=0.1) == given, "a loop of the user exempts nothing"
    (first / "trainer_state.json").touch()
    assert rule(optimizer__weight_decay=0.1) == expected
    assert rule(optimizer__weight_decay=0.0) == given, "it changes the keys of older studies"


def test_tokens_have_no_tokenizer():
    study = Settings(replaced(config("smoke"), corpus__source="tokens"), HERE, run_files=[])
    assert study.tokenizer == []
    assert study.tokenizer_files == []


def test_the_given_configuration_is_not_changed():
    given = config("smoke", device="auto")
    assert Settings.checked(given, HERE).config["device"] in ("cpu", "cuda")
    assert given["device"] == "auto"


@pytest.mark.parametrize(
    "cluster", [Invocation(ROOT, cores=None), Invocation(ROOT, 2, remote=True)]
)
def test_on_a_cluster_the_device_must_be_named(cluster):
    with pytest.raises(UserError, match="device: auto cannot be used on a cluster"):
        settings(invocation=cluster, device="auto")


def test_a_duplicate_key_of_a_configuration_file_raises(folder):
    (folder / "mine.yaml").write_text("threads: 1\nthreads: 2\n")
    with pytest.raises(UserError, match="threads"):
        settings(invocation=Invocation(ROOT, 2, configfiles=["mine.yaml"]))


def test_estimates_of_the_users_orders_need_a_file():
    study = settings()
    with pytest.raises(SystemExit, match="error: what_if: no orders file"):
        study.orders_file(None)


def test_a_user_error_ends_the_process_with_one_line():
    with pytest.raises(SystemExit, match=r"^error: a mistake$"), one_line_errors():
        raise UserError("a mistake")


def test_replicates_have_other_seeds_and_only_the_estimators_of_the_search():
    study = settings("full")
    assert study.replicates
    assert len({other["study"] for other in study.replicates}) == len(study.replicates)
    for other in study.replicates:
        assert len(set(other["seeds"].values())) == 1
        assert other["curriculum"]["replicates"] == []
        methods = {entry["method"] for entry in other["estimators"]}
        assert methods == {"constant", "corrected", "reduced"}
        has_same_training = other["seeds"] == study.config["seeds"] and (
            other["optimizer"] == study.config["optimizer"]
        )
        assert (Settings(other, HERE, []).keys == study.keys) == has_same_training
    assert study.replicated[0] == "results/full"


def test_replicates_that_differ_only_in_their_budget_are_studies_of_their_own():
    entries = [{"seed": 1}, *({"seed": 1, "retrainings": n} for n in (24, 32.5))]
    study = settings(curriculum__replicates=entries, curriculum__method="steps")
    names = [other["study"] for other in study.replicates]
    assert len(set(names)) == 3, "their results are in one folder"
    assert names[1:] == [f"{names[0]}-retrainings{n}" for n in ("24", "32.5")]
    same = settings(curriculum__replicates=[entries[0], entries[0]])
    with pytest.raises(UserError, match=r"2 entries describe the study smoke-seed1-.*; list each"):
        _ = same.replicates


def test_requests_grow_with_each_attempt():
    request = JobResources(vectors_mb=100, cuda=False).request(
        megabytes=1000, minutes=20, vectors=True, device=True
    )
    assert request.keys() == {"mem_mb", "runtime"}
    assert [request["mem_mb"](None, attempt) for attempt in (1, 2)] == [1600, 3200]
    assert [request["runtime"](None, attempt) for attempt in (1, 2)] == [20, 40]


def test_only_jobs_that_compute_on_the_device_request_a_gpu():
    resources = JobResources(vectors_mb=0, cuda=True)
    kinds = {"megabytes": 500, "minutes": 1, "vectors": False}
    assert resources.request(**kinds, device=True)["gpu"] == 1
    assert "gpu" not in resources.request(**kinds, device=False)


def test_vectors_of_a_model_of_unknown_size_may_take_the_whole_allowance():
    assert vectors_mb(0, memory_gb=4) == 4000
    assert vectors_mb(1000, memory_gb=4) < 20


def test_the_users_own_memory_settings_stay():
    environment = {"MALLOC_TRIM_THRESHOLD_": "1"}
    keep_freed_memory(environment)
    assert environment["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert environment["MALLOC_MMAP_THRESHOLD_"] == str(32 << 20)


def test_a_folder_that_cannot_be_written_is_named(folder, monkeypatch):
    (folder / "results/smoke/store").mkdir(parents=True)
    study = settings()
    study.check_writable()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "store")
    with pytest.raises(UserError, match="results/smoke/store: cannot be written"):
        study.check_writable()


def test_a_search_by_steps_waits_for_nothing_in_a_global_search():
    assert not settings().may_search_by_steps
    assert settings().fresh_draws == []
    study = settings(curriculum__method="auto")
    assert study.may_search_by_steps
    assert study.step_estimator in study.estimators


def test_replicates_of_a_search_by_steps_keep_the_known_runs_that_it_reads():
    study = settings("full", curriculum__method="steps")
    assert all(Settings(other, HERE, []).step_estimator for other in study.replicates)


def test_fresh_retrainings_differ_in_weights_and_keys():
    study = settings(curriculum__fresh=3)
    assert [draw["heldout"] for draw in study.fresh_draws] == ["other"] * 3
    assert len({draw["init"] for draw in study.fresh_draws}) == 3
    assert len({draw["key"] for draw in study.fresh_draws}) == 3
    assert study.fresh_start(0) == "results/smoke/store/warm.h5"
    assert study.fresh_start(1) != study.fresh_start(2)


def test_given_weights_are_not_drawn_again():
    given = replaced(settings(curriculum__fresh=3).config, model__source="here")
    assert [draw["init"] for draw in Settings(given, HERE, []).fresh_draws] == [0]
