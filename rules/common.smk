# Helpers of every rules file: the checked configuration, keys, code hashes.
import os
import re
import sys
from base64 import urlsafe_b64encode
from copy import deepcopy
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.settings.types import ConfigSettings
from snakemake.utils import update_config
from trainorder.evaluation.result_files import CHECKSUMS
from trainorder.config.methods import (
    CURVATURE_METHODS,
    FITTED_METHODS,
    SEARCHING,
    STORE,
    TABLE_METHODS,
)
from trainorder.config.sections import EstimatorConfig, ModelConfig, WindowConfig
from trainorder.config.checks import check, check_files
from trainorder.config.loading import load_config
from trainorder.data import packages
from trainorder.data.domains import check_domains
from trainorder.errors import UserError
from trainorder.numerics.memory import VECTORS_HELD
from trainorder.orders.user_files import read_orders, read_reference
from trainorder.config.sections import PACKAGED_MODEL_FOLDER
from trainorder.training.packaged_model import FILES
from trainorder.workflow.code_hash import code_hash
from trainorder.storage.provenance import digest
from trainorder.training.existing_run.checkpoint_files import (
    check_path_is_exact,
    checkpoint_files,
    window_checkpoints,
)
from trainorder.storage.sealed_hdf5 import stated_key

# Jobs keep what they free: with glibc's defaults a step of training spends up to a tenth of its
# time in the kernel, which takes the memory of activations back and hands it out again as zeros.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 << 20))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(256 << 20))

_REPLICATED = ("schedule", "learning_rate")  # what a replicate may change, seeds apart
_SNAKEMAKE_MB = 500  # of memory, for Snakemake itself in each job of a cluster
_CUDA_MB = 2000  # for the libraries of a GPU, in a job that uses one; a guess
_MOST_VECTORS = (
    3000  # of parameters, about as many as a step of the default study has at most
)
_CELLS = 12  # retrained in a replicate's maps at most: enough to see one that is wrong
SCRIPTS = Path(workflow.basedir) / "scripts"


def take_orders_file():
    """Take the FILE of `--config orders=FILE` (rule what_if) out of the configuration, if any.

    It stands there in the place of the section `orders`, so all is laid again without it, in the
    order that Snakemake takes: params are compared as text, in which keys must keep their places.
    """
    if not isinstance(config.get("orders"), str):
        return None
    given = dict(workflow.config_settings.config)
    file = given.pop("orders", None)
    over = ConfigSettings(given, workflow.overwrite_configfiles).overwrite_config
    config.clear()
    for layer in (over, load_configfile("config.yaml"), over):
        update_config(config, layer)
    return file


def read_run():
    """The files of the existing run's checkpoints, once they fit; none without a run."""
    run, window = config["run"], WindowConfig(**config["window"])
    if not run:
        return []
    read_reference(run["order"], window)
    steps = window_checkpoints(run["checkpoints"], window)
    estimators = [EstimatorConfig(**entry) for entry in config["estimators"]]
    check_path_is_exact(run["checkpoints"], steps, estimators)
    return checkpoint_files(run["checkpoints"], steps)


def without_null(section, name):
    """A section of the configuration without the key `name` where it is null."""
    return {k: v for k, v in section.items() if k != name or v is not None}


ORDERS_FILE = take_orders_file()

try:
    # For keys that stand twice, of which Snakemake takes the last.
    load_config(
        *(file for file in workflow.configfiles if Path(file).suffix != ".json")
    )
    check(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
    RESULTS = f"results/{config['study']}"
    PACKAGES = (
        packages.select(config["corpus"]["domains"])
        if config["corpus"]["source"] == "packages"
        else []
    )
    # What was unpacked from an archive was made elsewhere, of files that need not be here.
    unpacked = Path(RESULTS, CHECKSUMS).exists()
    if not unpacked:
        check_files(config)
        check_domains(config)
        if config["orders"]["custom"] is not None:
            read_orders(config["orders"]["custom"], WindowConfig(**config["window"]))
    if ORDERS_FILE is not None:
        read_orders(ORDERS_FILE, WindowConfig(**config["window"]))
        if unpacked and not Path(RESULTS, "store/manifest.json").exists():
            raise UserError(
                f"{RESULTS}: from an archive, which holds results and not what estimates are made "
                "of; run the study here under another name, and ask that"
            )
    RUN = [] if unpacked else read_run()
except UserError as error:
    sys.exit(f"error: {error}")

# Once, where Snakemake runs: results, and the keys of their files, depend on which device it is.
if config["device"] == "auto":
    # On a cluster there is no number of cores where Snakemake runs; its jobs know where they are.
    if workflow.remote_exec or workflow.resource_settings.cores is None:
        sys.exit(
            "error: config: device: auto: on a cluster, say cpu or cuda: what Snakemake sees here, "
            "the nodes of its jobs need not have"
        )
    from trainorder.training.device import (
        resolved,
    )  # imports torch, which takes seconds

    config["device"] = resolved(config["device"])
# What a rule that computes on the device asks for.
GPU = {"gpu": 1} if config["device"] == "cuda" else {}

# A model's own tokenizer is that of its folder.
if config["corpus"]["source"] != "tokens":
    config["corpus"]["tokenizer"] = (
        config["corpus"]["tokenizer"] or config["model"]["source"]
    )
# The model of a package: its folder may not be there yet, rule `pretrained` makes it.
PACKAGED_MODEL = (
    [f"{PACKAGED_MODEL_FOLDER}/{name}" for name in FILES]
    if Path(config["model"]["source"] or "") == Path(PACKAGED_MODEL_FOLDER)
    else []
)
WORK = f"{RESULTS}/.work"
ALL_ESTIMATORS = [EstimatorConfig(**entry) for entry in config["estimators"]]
ESTIMATORS = [
    e for e in ALL_ESTIMATORS if e.method not in FITTED_METHODS
]  # those that replay
# Off the barycentre, `auto` is every step: the published method needs neighbouring ones.
REFERENCE_ANCHORS = (
    config["expansion"]["anchors"]
    if isinstance(config["expansion"]["anchors"], int)
    else None
)
# Along the window, after how many updates truth and reduced model read the losses.
READOUTS = config["curriculum"]["readouts"] if config["curriculum"] else 1
TABLE_SHARDS = range(config["shards"]["table"])
TRUTH_SHARDS = range(config["shards"]["truth"])
UNIT_SHARDS = range(config["shards"]["curvature"])

# What a stored file belongs to: the parts of the configuration that decide its content.
_corpus_key = digest(config["corpus"], config["window"], config["seeds"]["data"])
KEYS = {
    "corpus": _corpus_key,
    "study": digest(
        _corpus_key,
        config["model"],
        # Keys that came later belong to a file only where they are set.
        without_null(config["optimizer"], "horizon"),
        config["seeds"],
        config["threads"],
        *([config["device"]] if config["device"] != "cpu" else []),
        *([config["run"]] if config["run"] else []),
    ),
}


def check_origin():
    """Refuse stored files of another configuration that Snakemake has no record of.

    Copied from elsewhere, they would pass for up to date. Those with a record are made again.
    """
    foreign = []
    for file, kind in (("corpus.h5", "corpus"), ("store/warm.h5", "study")):
        path = f"{RESULTS}/{file}"
        record = Path(".snakemake/metadata", urlsafe_b64encode(path.encode()).decode())
        if not record.exists() and stated_key(path) not in (KEYS[kind], None):
            foreign.append(path)
    if foreign:
        sys.exit(
            f"error: {' and '.join(foreign)}: of another configuration, and not made here; "
            f"delete {RESULTS} or choose another name for the study"
        )


check_origin()

# What a script needs to set up the learning problem.
PROBLEM = {
    "key": KEYS["corpus"],
    "model": config["model"],
    "seed": config["seeds"]["init"],
    "threads": config["threads"],
    "device": config["device"],
}


def code(script):
    """A hash of the script and of the library modules it imports, so that edits rerun it."""
    return code_hash(SCRIPTS / script)


def check_writable():
    """Refuse folders of results that jobs cannot write to, before Snakemake stumbles there."""
    top = next(p for p in (Path(RESULTS), *Path(RESULTS).parents) if p.exists())
    for folder in (top, *Path(RESULTS).rglob("*/")):
        if not os.access(folder, os.W_OK | os.X_OK):
            sys.exit(f"error: {folder}: cannot be written; make it writable")


def parameters():
    """How many parameters the model has, at most; 0 of one that is not here yet."""
    model = ModelConfig(**config["model"])
    if model.source is None:
        return model.new_parameters(config["corpus"]["vocabulary"])
    weights = Path(model.source).glob("*.safetensors")
    return (
        sum(file.stat().st_size for file in weights) // 2
    )  # of two bytes each at least


def vectors_mb():
    """What vectors take in a job at most, as docs/trust.md says; of a small model they are small."""
    vector_mb, held_mb = 4e-6 * parameters(), 1000 * config["memory_gb"]
    most_mb = _MOST_VECTORS * vector_mb or held_mb
    return round(min(most_mb, held_mb) + VECTORS_HELD * vector_mb)


def memory(step_mb, vectors=False):
    """The `mem_mb` of a job: of its step, of what it runs on, of Snakemake, of vectors if it has any.

    Each attempt asks for more: `step_mb` is what a study as small as the default one takes.
    """
    job_mb = step_mb + _SNAKEMAKE_MB + (_CUDA_MB if GPU else 0)
    job_mb += vectors_mb() if vectors else 0
    return lambda wildcards, attempt: attempt * job_mb


def minutes(first):
    """The `runtime` of a job, more at each attempt."""
    return lambda wildcards, attempt: attempt * first


def paths_read(kind):
    """The expansion paths of which some estimator rests on files of a kind."""
    needed = {
        "path": set(STORE),
        "table": {*TABLE_METHODS, *CURVATURE_METHODS},
        "curvature": CURVATURE_METHODS,
        "reduced": {"reduced"},
    }[kind]
    return sorted({e.path for e in ESTIMATORS if e.method in needed})


def tables(path):
    """The shards of a path's gradient table."""
    shards = TABLE_SHARDS if path == "reference" else [0]
    return [f"{RESULTS}/store/{path}/table-{shard}.h5" for shard in shards]


def run_path(wildcards):
    """The path of an existing run, for the shard of the order `reference`, the first of all."""
    first = RUN and int(wildcards.shard) == 0
    return f"{RESULTS}/store/reference/path.h5" if first else []


def names(wanted):
    """A pattern of the names of the wanted estimators; of none, one that nothing matches."""
    found = [re.escape(e.name) for e in ESTIMATORS if wanted(e)]
    return "|".join(found) or "(?!)"


def replicate(entry):
    """The configuration of a replicate: seeds, schedule and rate are its own."""
    made = deepcopy(dict(config))
    seeds, optimizer = made["seeds"], made["optimizer"]
    made["seeds"] = dict.fromkeys(seeds, entry["seed"])
    optimizer |= {name: entry.get(name, optimizer[name]) for name in _REPLICATED}
    kind = f"{optimizer['schedule']}-rate{optimizer['learning_rate']:g}"
    made["study"] = f"{config['study']}-seed{entry['seed']}-{kind}"
    made["curriculum"]["replicates"] = []
    if made["memorization"]:
        made["memorization"]["retrained"] = min(
            made["memorization"]["retrained"], _CELLS
        )
    made["estimators"] = [
        estimator
        for estimator in made["estimators"]
        if EstimatorConfig(**estimator).name in ("constant@reference", *SEARCHING)
    ]
    return made
