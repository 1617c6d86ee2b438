"""All that the rules take from the configuration, in one object."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainorder.config.estimator_names import SCREENING, SEARCH_PATH
from trainorder.config.files import check_files, corpus_files
from trainorder.config.loading import load_config
from trainorder.config.methods import Method
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.curriculum import FRESH_SEEDS, GLOBAL
from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.estimator import (
    EstimatorConfig,
    is_step_estimator,
    search_estimators,
)
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER, ModelConfig
from trainorder.config.sections.orders import orders_config
from trainorder.config.sections.readouts import metric_sets, readout_count
from trainorder.config.sections.window import WindowConfig
from trainorder.config.study_config import parse
from trainorder.curriculum.feasibility import check_feasible
from trainorder.data import archives
from trainorder.data.domains import check_domains
from trainorder.data.recorded_corpus import is_record, record_files
from trainorder.errors import UserError
from trainorder.estimators.baselines.proxy import narrowed
from trainorder.evaluation.costs import precompute_stages, stages_before_probing
from trainorder.evaluation.result_files import CHECKSUMS, LADDER, PREDICTABILITY
from trainorder.evaluation.verdict import MIN_CALIBRATION
from trainorder.figures.catalogue import CATALOGUE, Entry, figures_with, requested
from trainorder.orders.user_files import read_orders, read_reference
from trainorder.recording.study_settings import completed
from trainorder.storage.formats import sha256_file
from trainorder.storage.provenance import digest
from trainorder.training.existing_run.checkpoint_files import (
    checkpoint_files,
    is_of_trainer,
    window_checkpoints,
)
from trainorder.training.packaged_model import FILES
from trainorder.training.rate_files import read_rates
from trainorder.workflow.code_hash import code_hash
from trainorder.workflow.keys import StudyKeys, check_origin
from trainorder.workflow.replicate_config import replicates
from trainorder.workflow.resources import JobResources, Request, most_parameters, vectors_mb

Config = dict[str, Any]
_NOTHING = "(?!)"  # a pattern that matches no text


@dataclass(frozen=True)
class Invocation:
    """How Snakemake was started.

    Attributes:
        basedir: the folder of the Snakefile.
        cores: the number of cores, or None on a cluster.
        remote: whether this process runs one job of a cluster.
        configfiles: configuration files, the later ones overriding the earlier ones.
        orders_file: the file of `--config orders=FILE`, which rule `what_if` estimates.
        figures: the value of `--config figures=...`, names of figures to draw; None without it.

    """

    basedir: Path
    cores: int | None = None
    remote: bool = False
    configfiles: Sequence[str | Path] = ()
    orders_file: str | None = None
    figures: object = None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a `UserError` into one `error:` line and exit status 1."""
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")


@dataclass(frozen=True)
class Settings:
    """Paths, shards, keys, resources and parameters of a study, as the rules need them.

    Attributes:
        config: the checked and completed configuration.
        invocation: how Snakemake was started.
        run_files: files of the existing run's checkpoints in the window; none without a run.

    """

    config: Config
    invocation: Invocation
    run_files: list[str]

    @classmethod
    def checked(cls, config: Mapping[str, Any], invocation: Invocation) -> "Settings":
        """Check a configuration and the files that it names, and return its settings.

        Raises:
            UserError: a key, a file, or a stored result does not fit.

        """
        for file in invocation.configfiles:  # Snakemake takes the last of duplicate keys
            if Path(file).suffix != ".json":
                load_config(file)
        unpacked = Path(f"results/{config.get('study')}", CHECKSUMS).exists()
        if not unpacked:  # with the keys that a record of the run decides
            config = completed(config)
        parse(config)
        results = _results(config)
        if not unpacked:  # the files that a bundle was made from need not be here
            check_files(config)
            check_domains(config)
            check_feasible(config)
            _check_orders(config["orders"]["custom"], config)
        if invocation.orders_file is not None:
            _check_orders(invocation.orders_file, config)
            if unpacked and not Path(results, "store/manifest.json").exists():
                raise UserError(
                    f"{results}: this study was unpacked from an archive, which has no gradient "
                    "store; run the study under another name, then estimate these orders there"
                )
        run_files = [] if unpacked else _run_files(config)
        settings = cls(_completed(config, invocation), invocation, run_files)
        check_origin(results, settings.keys)
        return settings

    # Paths

    @property
    def results(self) -> str:
        """The folder of the study's results, relative to the working directory."""
        return _results(self.config)

    @property
    def work(self) -> str:
        """The folder of trainer states that a killed job resumes from."""
        return f"{self.results}/.work"

    def check_writable(self) -> None:
        """Check that jobs can write to the folders of results, as Snakemake's message is unclear.

        Raises:
            UserError: a folder is read-only.

        """
        results = Path(self.results)
        top = next(path for path in (results, *results.parents) if path.exists())
        for folder in (top, *results.rglob("*/")):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(f"{folder}: cannot be written; make it writable")

    # Input files of the user

    @property
    def packages(self) -> list[archives.Archive]:
        """The packages whose text the corpus uses."""
        corpus = self.config["corpus"]
        return archives.select(corpus["domains"]) if corpus["source"] == "packages" else []

    @property
    def corpus_files(self) -> list[str]:
        """Files of text or tokens that the user names, also by a folder or a pattern."""
        corpus = CorpusConfig(**self.config["corpus"])
        if Path(self.results, CHECKSUMS).exists():  # unpacked, so the files need not be here
            return list(corpus.files)
        if corpus.source == "tokens" and is_record(corpus):
            return record_files(corpus, WindowConfig(**self.config["window"]))
        return corpus_files(self.config["corpus"])

    @property
    def packaged_model(self) -> list[str]:
        """Files of the packaged model if the study uses it; rule `pretrained` makes them."""
        source = Path(self.config["model"]["source"] or "")
        return packaged_model_files() if source == Path(PACKAGED_MODEL_FOLDER) else []

    @property
    def model_files(self) -> list[str]:
        """Files of the model to start from; none for a new model or a name on the hub."""
        source = self.config["model"]["source"]
        if self.packaged_model:
            return self.packaged_model
        if source and os.path.isdir(source):
            return sorted(str(path) for path in Path(source).glob("*.*"))
        return []

    @property
    def tokenizer_files(self) -> list[str]:
        """The file of the tokenizer that the user names; none for a name on the hub."""
        name = self.config["corpus"]["tokenizer"]
        path = str(Path(name or "") / "tokenizer.json")
        is_file = name and (os.path.isfile(path) or path in self.packaged_model)
        return [path] if is_file else []

    @property
    def tokenizer(self) -> str | list[str]:
        """The tokenizer that rule `corpus` writes; none where the corpus comes as tokens."""
        text = self.config["corpus"]["source"] != "tokens"
        return f"{self.results}/tokenizer/tokenizer.json" if text else []

    @property
    def custom_orders(self) -> str | list[str]:
        """The file of `orders.custom`."""
        return self.config["orders"]["custom"] or []

    @property
    def run_order(self) -> str | list[str]:
        """The file of the order of an existing run."""
        return (self.config["run"] or {}).get("order") or []

    def orders_file(self, wildcards: Any) -> str:
        """Return the orders file of `--config orders=FILE`; exit with one line if it is missing."""
        with one_line_errors():
            if self.invocation.orders_file is None:
                raise UserError("what_if: no orders file; add --config orders=FILE")
        return str(self.invocation.orders_file)

    # Estimators and the stages that they need

    @cached_property
    def entries(self) -> dict[str, Config]:
        """Entries of the section `estimators` by name."""
        return {EstimatorConfig(**entry).name: entry for entry in self.config["estimators"]}

    @cached_property
    def estimators(self) -> dict[str, EstimatorConfig]:
        """All estimators by name."""
        return {name: EstimatorConfig(**entry) for name, entry in self.entries.items()}

    @cached_property
    def replaying(self) -> list[EstimatorConfig]:
        """Estimators that are not fitted, so they expand about a path."""
        return [e for e in self.estimators.values() if not e.descriptor.fitted]

    def estimator_pattern(self, rule: str) -> str:
        """Return a pattern of the names of the estimators whose outcomes a rule computes."""
        names = [re.escape(e.name) for e in self.replaying if e.descriptor.rule == rule]
        return "|".join(names) or _NOTHING

    def estimate_shards(self, name: str) -> int:
        """Return the number of jobs of an estimator."""
        return self.estimators[name].shards(self.config["shards"]["estimate"])

    def paths_read(self, kind: str) -> list[str]:
        """Return the expansion paths for which an estimator needs files of a kind in the store."""
        needs: dict[str, Callable[[Method], bool]] = {
            "path": lambda method: method.takes_path,
            "table": lambda method: method.uses_table,
            "residuals": lambda method: method.needs_run,
            "curvature": lambda method: method.uses_curvature,
            "reduced": lambda method: "reduced" in method.reads,
            "effects": lambda method: "effects" in method.reads,
        }
        return sorted({e.path for e in self.replaying if needs[kind](e.descriptor)})

    @property
    def expansion_paths(self) -> list[str]:
        """Expansion paths in the store. All orders are compared with the reference path."""
        return sorted({"reference", *self.paths_read("path")})

    @property
    def table_paths(self) -> list[str]:
        """Expansion paths with a gradient table; rule `barycentre` always makes its table."""
        return sorted({*self.paths_read("table"), *({"barycentre"} & {*self.paths_read("path")})})

    @property
    def residual_sizes(self) -> list[int]:
        """Sizes of the subsamples whose residuals estimators read."""
        window = WindowConfig(**self.config["window"])
        ladder = LadderConfig(**self.config["ladder"])
        corrected = [e for e in self.replaying if e.descriptor.needs_run]
        return sorted({size for e in corrected for size in e.residual_sizes(window, ladder)})

    @property
    def open_estimator(self) -> str | None:
        """The name of the estimator whose size the ladder selects, if there is one."""
        return next((e.name for e in self.replaying if e.size_is_open), None)

    @property
    def search_estimators(self) -> tuple[str, str]:
        """The names of the estimators that score the orders of a search, and the best of them."""
        return search_estimators(self.replaying)

    @property
    def global_search(self) -> Config | None:
        """The section `curriculum` without what only later jobs read."""
        curriculum = self.config["curriculum"]
        later = ("method", "retrainings", "fresh")
        return curriculum and {k: v for k, v in curriculum.items() if k not in later}

    @property
    def may_search_by_steps(self) -> bool:
        """Whether the study has a job that may search by steps."""
        curriculum = self.config["curriculum"]
        return bool(curriculum) and curriculum["method"] != GLOBAL

    @property
    def step_estimator(self) -> str | None:
        """The name of the estimator whose known runs a search by steps reads, if it may be one."""
        names = [e.name for e in self.replaying if is_step_estimator(e)]
        return names[0] if self.may_search_by_steps else None

    @property
    def confirming(self) -> list[EstimatorConfig]:
        """The second of them; none if the study does not search."""
        return [e for e in self.replaying if e.name == self.search_estimators[1]]

    def ladder_file(self, wildcards: Any) -> str | list[str]:
        """Return `ladder.json` for the estimator whose size it selects."""
        return str(LADDER.path(self.results)) if wildcards.estimator == self.open_estimator else []

    @property
    def known_runs(self) -> int:
        """The number of calibration orders whose retraining is recorded as a known run."""
        return max((estimator.runs for estimator in self.replaying), default=0)

    @property
    def known_run_files(self) -> list[str]:
        """The files of the recorded runs, one for each shard of truth."""
        shards = self.truth_shards if self.known_runs else []
        return [f"{self.results}/store/reference/known_runs-{shard}.h5" for shard in shards]

    @property
    def recorded_subsamples(self) -> str | list[str]:
        """The file of the subsamples that the recorded runs share with the reference run."""
        return f"{self.results}/store/reference/residuals.h5" if self.known_runs else []

    @property
    def smallest_corrected_size(self) -> int | None:
        """The smallest size that an estimator with known runs tries; None without one."""
        window = WindowConfig(**self.config["window"])
        ladder = LadderConfig(**self.config["ladder"])
        corrected = [e for e in self.replaying if e.descriptor.needs_run]
        return min((e.size or ladder.sizes(window)[0] for e in corrected), default=None)

    @property
    def has_stores(self) -> bool:
        """Whether stores are compared: they need the gradient table of the reference path."""
        return "reference" in self.table_paths

    @property
    def has_explorer(self) -> bool:
        """Whether the study has the reduced model that the explorer shows."""
        return SCREENING in self.estimators

    @property
    def search_path(self) -> str:
        """The expansion path of the search for orders."""
        return SEARCH_PATH

    @property
    def maps_rule(self) -> str | None:
        """The rule of the method that estimates the maps of positions, if the study has maps."""
        return self.maps.descriptor.rule if self.maps else None

    @property
    def maps_path(self) -> str | None:
        """The expansion path of that method."""
        return self.maps.path if self.maps else None

    @property
    def maps(self) -> EstimatorConfig | None:
        """The estimator of the maps of positions, if the study has maps."""
        memorization = self.config["memorization"]
        return EstimatorConfig.from_name(memorization["estimator"]) if memorization else None

    # Shards

    @property
    def table_shards(self) -> range:
        """Shards of the gradient table along the reference path."""
        return range(self.config["shards"]["table"])

    @property
    def unit_shards(self) -> range:
        """Shards of the units' own curvature."""
        return range(self.config["shards"]["curvature"])

    @property
    def truth_shards(self) -> range:
        """Shards of true retraining."""
        return range(self.config["shards"]["truth"])

    @property
    def candidate_shards(self) -> range:
        """Shards of the true retraining of searched orders."""
        return range(2)

    def tables(self, path: str) -> list[str]:
        """Return the files of a path's gradient table."""
        shards = self.table_shards if path == "reference" else [0]
        return [f"{self.results}/store/{path}/table-{shard}.h5" for shard in shards]

    def costs_before_probing(self, wildcards: Any) -> list[str]:
        """Return the costs of the stages before a path is probed, which an open rank allows for."""
        if not self._rank_is_open:
            return []
        jobs = [job for name in stages_before_probing(wildcards.path) for job in self._jobs(name)]
        return [f"{self.results}/costs/{job}.json" for job in jobs]

    @property
    def truth_of_levels(self) -> list[str]:
        """The truth that ranks are tried on; none if the rank is given, or with too few orders."""
        if not self._rank_is_open or self.config["orders"]["calibration"] < MIN_CALIBRATION:
            return []
        return [f"{self.results}/truth/{shard}.h5" for shard in self.truth_shards]

    @property
    def _rank_is_open(self) -> bool:
        return CurvatureConfig(**self.config["curvature"]).rank_is_open

    def reference_path(self, wildcards: Any) -> str | list[str]:
        """Return the path of an existing run for the shard that holds the order `reference`."""
        first = bool(self.run_files) and int(wildcards.shard) == 0
        return f"{self.results}/store/reference/path.h5" if first else []

    def predictor(self, wildcards: Any) -> str:
        """Return the file of the store that an estimator of rule `predict` reads."""
        estimator = self.estimators[wildcards.estimator]
        [kind] = estimator.descriptor.reads
        return f"{self.results}/store/{estimator.path}/{kind}.h5"

    def consumed(self, wildcards: Any) -> str:
        """Return the file of what the steps of a path consume: the orders or the clusters."""
        of_run = wildcards.path == "reference"
        return f"{self.results}/{'orders.json' if of_run else 'store/clusters.h5'}"

    @property
    def estimate_files(self) -> list[str]:
        """The estimates of all estimators."""
        jobs = self._estimate_jobs
        jobs += [f"{self.open_estimator}/calibration"] if self.open_estimator else []
        return [f"{self.results}/estimates/{job}.h5" for job in jobs]

    @property
    def cost_files(self) -> list[str]:
        """The costs of truth, of estimates, and of the stages that both need."""
        needed = {stage for e in self.estimators.values() for stage in precompute_stages(e)}
        always = ("corpus", "warm", "orders", "predictability", "reference", "manifest")
        stages = [*always, *sorted(needed)]
        jobs = [job for stage in dict.fromkeys(stages) for job in self._jobs(stage)]
        jobs += [f"truth/{shard}" for shard in self.truth_shards]
        jobs += [f"estimate/{job}" for job in self._estimate_jobs]
        jobs += ["ladder"] if self.open_estimator else []
        if "proxy" in self.estimators:
            jobs += [f"proxy_orders/{shard}" for shard in self.truth_shards]
        return [f"{self.results}/costs/{job}.json" for job in jobs]

    @property
    def _estimate_jobs(self) -> list[str]:
        return [
            f"{name}/{shard}"
            for name in self.estimators
            for shard in range(self.estimate_shards(name))
        ]

    def _jobs(self, stage: str) -> list[str]:
        """Return the names of the jobs of a stage, as under `costs/`."""
        sharded = {"table": self.table_shards, "unit_curvature": self.unit_shards}
        shards = sharded.get(stage.split("/")[0])
        return [stage] if shards is None else [f"{stage}/{shard}" for shard in shards]

    # Parameters of scripts

    @property
    def measured_predictability(self) -> str | None:
        """A hash of `predictability.json`, which the plan shows; None if there is none yet."""
        path = PREDICTABILITY.path(self.results)
        return sha256_file(path) if path.exists() else None

    @cached_property
    def keys(self) -> StudyKeys:
        """The keys of stored files."""
        return StudyKeys.of(self.config)

    @property
    def problem(self) -> Config:
        """What a script needs to set up the learning problem."""
        return {
            "key": self.keys.corpus,
            "model": self.config["model"],
            "seed": self.config["seeds"]["init"],
            "threads": self.config["threads"],
            "device": self.config["device"],
            **({"loss_scale": self.config["run"].get("loss_scale")} if self.config["run"] else {}),
        }

    @property
    def run_start(self) -> str | list[str]:
        """The start of an existing run, which has the detected factor of its losses."""
        run = self.config["run"]
        detected = run and run.get("loss_scale") is None
        return f"{self.results}/store/warm.h5" if detected else []

    @property
    def run_start_files(self) -> list[str]:
        """The files that the start of an existing run is read from."""
        if self.run_start and self.config["optimizer"]["gradient_clip"] is not None:
            return self.run_files  # the factor may show only in a later interval
        return self.run_files[: 4 if self.run_start else 2]

    @property
    def evaluated_problem(self) -> Config:
        """The same for scripts that evaluate all metrics: with the multiple-choice task, if any."""
        return self.problem | self._choices

    @property
    def _choices(self) -> Config:
        count = self.config["multiple_choice"]
        seed = self.config["seeds"]["data"]
        return {"choices": {"count": count, "seed": seed}} if count else {}

    @property
    def evaluated_proxy_problem(self) -> Config:
        """What a script needs to evaluate all metrics of the narrower model of `proxy`."""
        return self.proxy_problem | self._choices

    @property
    def proxy_problem(self) -> Config:
        """The learning problem of the narrower model of the estimator `proxy`."""
        return self.problem | {"model": asdict(narrowed(ModelConfig(**self.config["model"])))}

    @property
    def proxy_key(self) -> str:
        """The key of the files that belong to the proxy model alone."""
        return self.keys.proxy(self.proxy_problem["model"])

    @property
    def reference_anchors(self) -> int | None:
        """Number of anchors along the reference path; None if every step is an anchor.

        `auto` means every step here, because the published method needs neighbouring steps.
        """
        anchors = self.config["expansion"]["anchors"]
        return anchors if isinstance(anchors, int) else None

    @property
    def readouts(self) -> int:
        """How many times along the window truth and reduced model evaluate the losses."""
        return readout_count(self.config["curriculum"])

    def reduced_readouts(self, wildcards: Any) -> int | None:
        """Return how many sets of losses the reduced model of a path reads; None without one."""
        if wildcards.path not in self.paths_read("reduced"):
            return None
        return self.readouts * metric_sets(self.config["averaged_states"])

    @property
    def validation(self) -> Config:
        """The section `validation` with the seed of the resampling."""
        return {**self.config["validation"], "seed": self.config["seeds"]["order"]}

    @property
    def orders(self) -> Config:
        """The section `orders`, without orders of the split `fit` where nothing is fitted."""
        return orders_config(self.config["orders"], self.config["estimators"])

    def code(self, script: str, *estimators: EstimatorConfig) -> str:
        """Return a hash of a script and of the library modules it imports, so that edits rerun it.

        Args:
            script: a file of the folder `scripts`.
            estimators: the estimators that the script imports when it runs. Only their classes and
                descriptors count.

        """
        names = [estimator.descriptor.implementation for estimator in estimators]
        script_hash = code_hash(self.invocation.basedir / "scripts" / script, *names)
        if not estimators:
            return script_hash
        return digest(script_hash, [asdict(estimator.descriptor) for estimator in estimators])

    @property
    def descriptors(self) -> list[Config]:
        """The descriptors of the methods of the study, for rules that read facts about them."""
        return [asdict(estimator.descriptor) for estimator in self.estimators.values()]

    # Figures

    @property
    def figures(self) -> dict[str, Entry]:
        """The figures of the study by name."""
        has_memorization = bool(self.config["memorization"])
        parts = {
            "ladder": self.open_estimator,
            "ranks": self.truth_of_levels and self.paths_read("curvature"),
            "stores": self.has_stores,
            "stepwise": self.config["stepwise_losses"],
            "curriculum": self.config["curriculum"],
            "maps": has_memorization,
            "poisoned": has_memorization and self.config["window"]["poisoned"],
            "replicates": self.replicates,
        }
        names = figures_with(part for part, has in parts.items() if has)
        return {name: CATALOGUE[name] for name in names}

    @property
    def redrawn_figures(self) -> list[str] | None:
        """The figures that the command line names; None if it names none.

        Raises:
            UserError: the study has no such figure.

        """
        asked = self.invocation.figures
        return None if asked is None else requested(asked, list(self.figures))

    # Fresh retrainings of searched orders

    @property
    def fresh_random(self) -> int:
        """The number of random orders in fresh retrainings; 0: there are none."""
        curriculum = self.config["curriculum"]
        return int(curriculum["fresh"]) if curriculum else 0

    @property
    def has_other_text(self) -> bool:
        """Whether fresh retrainings have held-out text of their own."""
        return bool(self.config["corpus"]["source"] != "tokens")

    @property
    def fresh_draws(self) -> list[Config]:
        """The fresh retrainings: the seed `init`, the `heldout` text, and the key of their files.

        The first one has the initial weights of the study. Given weights cannot be drawn again.
        """
        if not self.fresh_random:
            return []
        init = self.config["seeds"]["init"]
        given = self.config["model"]["source"] or self.config["run"]
        seeds = [init] if self.has_other_text else []
        seeds += [] if given else [init + distance for distance in FRESH_SEEDS]
        return [
            {
                "init": seed,
                "heldout": "other" if self.has_other_text else "same",
                "key": self.keys.study if seed == init else self.keys.fresh(seed),
            }
            for seed in seeds
        ]

    def fresh_problem(self, draw: int) -> Config:
        """Return what a script needs to set up the learning problem of fresh retrainings."""
        return {**self.problem, "seed": self.fresh_draws[draw]["init"]}

    def fresh_start(self, draw: int) -> str:
        """Return the state before the window of fresh retrainings."""
        if self.fresh_draws[draw]["init"] == self.config["seeds"]["init"]:
            return f"{self.results}/store/warm.h5"
        return f"{self.results}/curriculum/fresh/warm-{draw}.h5"

    # Replicates

    @cached_property
    def replicates(self) -> list[Config]:
        """Configurations of the studies that repeat the search for orders."""
        return replicates(self.config)

    @property
    def replicated(self) -> list[str]:
        """Results of this study and of its replicates, by folder."""
        return [self.results, *map(_results, self.replicates)]

    # Resources

    @cached_property
    def _job_resources(self) -> JobResources:
        model = ModelConfig(**self.config["model"])
        parameters = most_parameters(model, self.config["corpus"]["vocabulary"])
        vectors = vectors_mb(parameters, self.config["memory_gb"])
        return JobResources(vectors, cuda=self.config["device"] == "cuda")

    def resources(
        self, *, megabytes: int, minutes: int, vectors: bool = False, device: bool = False
    ) -> dict[str, int | Request]:
        """Return the `resources:` of a rule.

        Args:
            megabytes: memory of a job of the default study, without parameter vectors.
            minutes: run time of a job of the default study, at most.
            vectors: whether the job holds parameter vectors.
            device: whether the job computes on the device of the study.

        """
        return self._job_resources.request(
            megabytes=megabytes, minutes=minutes, vectors=vectors, device=device
        )

    def model_resources(self, *, minutes: int) -> dict[str, int | Request]:
        """Return the `resources:` of a rule that computes with the model on the device."""
        return self.resources(megabytes=1500, minutes=minutes, vectors=True, device=True)


def packaged_model_files() -> list[str]:
    """Return the files that rule `pretrained` makes."""
    return [f"{PACKAGED_MODEL_FOLDER}/{name}" for name in FILES]


def _results(config: Mapping[str, Any]) -> str:
    return f"results/{config['study']}"


def _check_orders(path: str | None, config: Mapping[str, Any]) -> None:
    if path is not None:
        read_orders(path, WindowConfig(**config["window"]))


def _run_files(config: Mapping[str, Any]) -> list[str]:
    """Check the checkpoints of the existing run and return their files."""
    run, window = config["run"], WindowConfig(**config["window"])
    if not run:
        return []
    read_reference(run.get("order"), window)
    steps = window_checkpoints(run["checkpoints"], window)
    return checkpoint_files(run["checkpoints"], steps)


def _completed(config: Mapping[str, Any], invocation: Invocation) -> Config:
    """Return the configuration with its open choices filled in: device, tokenizer and optimizer."""
    completed = deepcopy(dict(config))
    if completed["device"] == "auto":
        completed["device"] = _device(invocation)
    corpus = completed["corpus"]
    if corpus["source"] != "tokens":  # the default is the tokenizer of the model
        corpus["tokenizer"] = corpus["tokenizer"] or _own_tokenizer(completed["model"])
    optimizer, window = completed["optimizer"], WindowConfig(**completed["window"])
    open_rule = optimizer["weight_decay"] and optimizer["no_decay"] is None
    if (
        completed["run"]
        and open_rule
        and is_of_trainer(completed["run"]["checkpoints"], window.warmup_steps)
    ):
        optimizer["no_decay"] = "norms_and_biases"
    if isinstance(optimizer["rates"], str):  # jobs take the rates, so they rerun where these change
        first = window.warmup_steps if completed["run"] else 0
        optimizer["rates"] = read_rates(optimizer["rates"], range(first, window.horizon))
    return completed


def _own_tokenizer(model: Mapping[str, Any]) -> str | None:
    """Return the name of the tokenizer of a model, `name@revision` if it has a revision."""
    source, revision = model["source"], model["revision"]
    return source if revision is None else f"{source}@{revision}"


def _device(invocation: Invocation) -> str:
    """Return `cpu` or `cuda`. All jobs use the same one, as the keys of their files depend on it.

    Raises:
        UserError: jobs run on a cluster, whose nodes may differ from this machine.

    """
    if invocation.remote or invocation.cores is None:
        raise UserError(
            "config: device: auto cannot be used on a cluster, whose nodes may differ from this "
            "machine; set cpu or cuda"
        )
    from trainorder.training.device import resolved  # imports torch, which takes seconds

    return resolved("auto")
