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
from trainorder.config import (
    CURVATURE_METHODS,
    FITTED_METHODS,
    SEARCHING,
    STORE,
    TABLE_METHODS,
    EstimatorConfig,
    WindowConfig,
    check,
)
from trainorder.corpus import packages
from trainorder.errors import UserError
from trainorder.orders import read_orders
from trainorder.provenance import code_hash, digest
from trainorder.store import stated_key

# Jobs keep what they free: with glibc's defaults a step of training spends up to a tenth of its
# time in the kernel, which takes the memory of activations back and hands it out again as zeros.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 << 20))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(256 << 20))

_REPLICATED = ("schedule", "learning_rate")  # what a replicate may change, seeds apart
_SNAKEMAKE_MB = 500  # of memory, for Snakemake itself in each job of a cluster
_CELLS = 12  # retrained in a replicate's maps at most: enough to see one that is wrong
SCRIPTS = Path(workflow.basedir) / "scripts"


def take_orders_file():
    """Take the FILE of `--config orders=FILE` (rule what_if) out of the configuration, if any.

    It stands there in the place of the section `orders`, so all is laid again without it, in the
    order that Snakemake takes: params are compared as text, in which keys must keep their places.
    """
    if not isinstance(config["orders"], str):
        return None
    given = dict(workflow.config_settings.config)
    file = given.pop("orders", None)
    over = ConfigSettings(given, workflow.overwrite_configfiles).overwrite_config
    config.clear()
    for layer in (over, load_configfile("config.yaml"), over):
        update_config(config, layer)
    return file


ORDERS_FILE = take_orders_file()

try:
    check(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
    if config["orders"]["custom"] is not None:
        read_orders(config["orders"]["custom"], WindowConfig(**config["window"]))
    if ORDERS_FILE is not None:
        read_orders(ORDERS_FILE, WindowConfig(**config["window"]))
    PACKAGES = (
        packages.select(config["corpus"]["domains"])
        if config["corpus"]["source"] == "packages"
        else []
    )
except UserError as error:
    sys.exit(f"error: {error}")

# A model's own tokenizer is that of its folder.
config["corpus"]["tokenizer"] = (
    config["corpus"]["tokenizer"] or config["model"]["source"]
)
RESULTS = f"results/{config['study']}"
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

# What a stored file belongs to: the parts of the configuration that decide its content.
_corpus_key = digest(config["corpus"], config["window"], config["seeds"]["data"])
KEYS = {
    "corpus": _corpus_key,
    "study": digest(
        _corpus_key,
        config["model"],
        config["optimizer"],
        config["seeds"],
        config["threads"],
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


def memory(step_mb):
    """The `mem_mb` of a job: that of its step and of Snakemake; more at each attempt."""
    return lambda wildcards, attempt: attempt * (step_mb + _SNAKEMAKE_MB)


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
