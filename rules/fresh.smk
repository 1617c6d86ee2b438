# Fresh retrainings of the searched orders: other initial weights, other held-out text.
if settings.has_other_text:

    use rule corpus as fresh_corpus with:
        output:
            corpus=f"{RESULTS}/curriculum/fresh/corpus.h5",
            tokenizer=f"{RESULTS}/curriculum/fresh/tokenizer/tokenizer.json",
            summary=f"{RESULTS}/curriculum/fresh/corpus.json",
            cost=f"{RESULTS}/costs/fresh_corpus.json",
        log:
            f"{RESULTS}/logs/fresh_corpus.log",
        params:
            other_heldout=True,
        message:
            "Building the corpus with other held-out sequences"


use rule warm as fresh_warm with:
    input:
        corpus=rules.corpus.output.corpus,
    output:
        warm=f"{RESULTS}/curriculum/fresh/warm-{{draw}}.h5",
        cost=f"{RESULTS}/costs/fresh_warm/{{draw}}.json",
    log:
        f"{RESULTS}/logs/fresh_warm-{{draw}}.log",
    params:
        problem=lambda wildcards: settings.fresh_problem(int(wildcards.draw)),
        run=None,
        key=lambda wildcards: settings.fresh_draws[int(wildcards.draw)]["key"],
        code=settings.code("warm.py"),
    message:
        "Warm-up training from other initial weights, draw {wildcards.draw}"


rule fresh_orders:
    input:
        orders=rules.orders.output.orders,
        candidates=CANDIDATES,
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
    output:
        orders=f"{RESULTS}/curriculum/fresh/orders.json",
    log:
        f"{RESULTS}/logs/fresh_orders.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=500, minutes=10),
    params:
        random=settings.fresh_random,
        objective={t["metric"]: t["weight"] for t in config["curriculum"]["objective"]},
        key=KEY,
        code=settings.code("fresh_orders.py"),
    message:
        "Listing the orders of the fresh retrainings"
    script:
        "../scripts/fresh_orders.py"


use rule truth as fresh_truth with:
    input:
        corpus=(
            rules.fresh_corpus.output.corpus
            if settings.has_other_text
            else rules.corpus.output.corpus
        ),
        warm=lambda wildcards: settings.fresh_start(int(wildcards.draw)),
        orders=rules.fresh_orders.output.orders,
    output:
        truth=f"{RESULTS}/curriculum/fresh/truth-{{draw}}.h5",
        cost=f"{RESULTS}/costs/fresh_truth/{{draw}}.json",
    log:
        f"{RESULTS}/logs/fresh_truth-{{draw}}.log",
    priority: 0
    params:
        problem=lambda wildcards: settings.fresh_problem(int(wildcards.draw)),
        start="fresh_warm",
        known_runs=0,
        trajectories=0,
        sketch_rows=16,  # these orders are not compared by their parameters
        shard=0,
        shards=1,
        key=lambda wildcards: settings.fresh_draws[int(wildcards.draw)]["key"],
    message:
        "Retraining searched and random orders afresh, draw {wildcards.draw}"
