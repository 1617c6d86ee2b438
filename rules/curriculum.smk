# Searched orders: proposed by the reduced model, judged by true retraining.
rule propose:
    input:
        corpus=rules.corpus.output.corpus,
        tokenizer=settings.tokenizer,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        manifest=rules.manifest.output.manifest,
        ladder=rules.ladder.output.ladder if settings.open_estimator else [],
        reduced=f"{RESULTS}/store/{settings.search_path}/reduced.h5",
        curvature=f"{RESULTS}/store/{settings.search_path}/curvature.h5",
    output:
        candidates=f"{RESULTS}/curriculum/candidates.json",
        cost=f"{RESULTS}/costs/propose.json",
    log:
        f"{RESULTS}/logs/propose.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        curriculum=config["curriculum"],
        averaged_states=config["averaged_states"],
        confirming=settings.entries.get(settings.search_estimators[1]),
        seed=config["seeds"]["order"],
        key=KEY,
        code=settings.code("propose.py", *settings.confirming),
    message:
        "Searching for orders"
    script:
        "../scripts/propose.py"


use rule truth as candidate_truth with:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.propose.output.candidates,
    output:
        truth=f"{RESULTS}/curriculum/truth/{{shard}}.h5",
        cost=f"{RESULTS}/costs/candidate_truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/candidate_truth-{{shard}}.log",
    params:
        shards=len(settings.candidate_shards),
        known_runs=0,
        trajectories=0,
    message:
        "Retraining searched orders and the orders they compete with, shard {wildcards.shard}"


rule curriculum:
    input:
        validation=rules.validate.output.validation,
        truth_csv=rules.validate.output.truth,
        estimates=rules.validate.output.estimates,
        trajectories=rules.validate.output.trajectories,
        costs=rules.validate.output.costs,
        orders=rules.orders.output.orders,
        candidates=rules.propose.output.candidates,
        cost=rules.propose.output.cost,
        candidate_truth=expand(
            rules.candidate_truth.output.truth, shard=settings.candidate_shards
        ),
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
    output:
        curriculum=f"{RESULTS}/curriculum.json",
        winners=f"{RESULTS}/curriculum/winners.json",
    log:
        f"{RESULTS}/logs/curriculum.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        curriculum=config["curriculum"],
        estimators=settings.search_estimators,
        coverage=config["validation"]["coverage"],
        key=KEY,
        code=settings.code("curriculum.py"),
    message:
        "Judging the searched orders"
    script:
        "../scripts/curriculum.py"
