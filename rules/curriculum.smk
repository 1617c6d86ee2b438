# Searched orders: proposed by the reduced model, judged by real retraining.
from trainorder.config.methods import SEARCHING

SEARCH_PATH = SEARCHING[0].split("@")[1]
CANDIDATE_SHARDS = range(2)


rule propose:
    input:
        corpus=rules.corpus.output.corpus,
        tokenizer=TOKENIZER,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        reduced=f"{RESULTS}/store/{SEARCH_PATH}/reduced.h5",
        curvature=f"{RESULTS}/store/{SEARCH_PATH}/curvature.h5",
    output:
        candidates=f"{RESULTS}/curriculum/candidates.json",
        cost=f"{RESULTS}/costs/propose.json",
    log:
        f"{RESULTS}/logs/propose.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        curriculum=config["curriculum"],
        seed=config["seeds"]["order"],
        key=KEYS["study"],
        code=code("propose.py"),
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
        **TRUTH,
        shards=len(CANDIDATE_SHARDS),
        trajectories=0,
    message:
        "Retraining searched orders and the field's, shard {wildcards.shard}"


rule curriculum:
    input:
        validation=f"{RESULTS}/validation.json",
        truth_csv=f"{RESULTS}/truth.csv",
        estimates=f"{RESULTS}/estimates.csv",
        trajectories=f"{RESULTS}/trajectories.csv",
        costs=f"{RESULTS}/costs.json",
        orders=f"{RESULTS}/orders.json",
        candidates=rules.propose.output.candidates,
        cost=rules.propose.output.cost,
        candidate_truth=expand(
            f"{RESULTS}/curriculum/truth/{{shard}}.h5", shard=CANDIDATE_SHARDS
        ),
        truth=expand(f"{RESULTS}/truth/{{shard}}.h5", shard=TRUTH_SHARDS),
    output:
        curriculum=f"{RESULTS}/curriculum.json",
        winners=f"{RESULTS}/curriculum/winners.json",
    log:
        f"{RESULTS}/logs/curriculum.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        curriculum=config["curriculum"],
        coverage=config["validation"]["coverage"],
        key=KEYS["study"],
        code=code("curriculum.py"),
    message:
        "Judging the searched orders"
    script:
        "../scripts/curriculum.py"
