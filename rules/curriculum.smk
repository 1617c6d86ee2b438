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
        curriculum=settings.global_search,
        averaged_states=config["averaged_states"],
        confirming=settings.entries.get(settings.search_estimators[1]),
        seed=config["seeds"]["order"],
        key=KEY,
        code=settings.code("propose.py", *settings.confirming),
    message:
        "Searching for orders"
    script:
        "../scripts/propose.py"


CANDIDATES, SEARCH_COSTS = rules.propose.output.candidates, [rules.propose.output.cost]

if settings.may_search_by_steps:

    # It selects the method when it runs, so that all studies of a configuration have the same jobs.
    rule step_search:
        input:
            corpus=rules.corpus.output.corpus,
            warm=rules.warm.output.warm,
            orders=rules.orders.output.orders,
            manifest=rules.manifest.output.manifest,
            truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
            validation=rules.validate.output.validation,
            candidates=rules.propose.output.candidates,
        output:
            candidates=f"{RESULTS}/curriculum/searched.json",
            cost=f"{RESULTS}/costs/step_search.json",
        log:
            f"{RESULTS}/logs/step_search.log",
        conda:
            "../envs/study.yaml"
        threads: config["threads"]
        resources:
            **settings.model_resources(minutes=240),
        params:
            problem=settings.problem,
            window=config["window"],
            optimizer=config["optimizer"],
            curriculum=config["curriculum"],
            averaged_states=config["averaged_states"],
            estimators=settings.search_estimators,
            known_runs=settings.known_runs,
            seed=config["seeds"]["order"],
            checkpoint_every=config["checkpoint_every"],
            key=KEY,
            work=settings.work,
            code=settings.code("step_search.py"),
        message:
            "Searching for orders by steps, if the global search is not trusted"
        script:
            "../scripts/step_search.py"

    CANDIDATES = rules.step_search.output.candidates
    SEARCH_COSTS = [*SEARCH_COSTS, rules.step_search.output.cost]


use rule truth as candidate_truth with:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=CANDIDATES,
    output:
        truth=f"{RESULTS}/curriculum/truth/{{shard}}.h5",
        cost=f"{RESULTS}/costs/candidate_truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/candidate_truth-{{shard}}.log",
    priority: 0
    params:
        shards=len(settings.candidate_shards),
        known_runs=0,
        trajectories=0,
    message:
        "Retraining searched orders and the orders they compete with, shard {wildcards.shard}"


if settings.fresh_draws:

    include: "fresh.smk"


rule curriculum:
    input:
        validation=rules.validate.output.validation,
        truth_csv=rules.validate.output.truth,
        estimates=rules.validate.output.estimates,
        trajectories=rules.validate.output.trajectories,
        costs=rules.validate.output.costs,
        orders=rules.orders.output.orders,
        candidates=CANDIDATES,
        search_costs=SEARCH_COSTS,
        candidate_truth=expand(
            rules.candidate_truth.output.truth, shard=settings.candidate_shards
        ),
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
        fresh_orders=rules.fresh_orders.output.orders if settings.fresh_draws else [],
        fresh_truth=[
            f"{RESULTS}/curriculum/fresh/truth-{draw}.h5"
            for draw, _ in enumerate(settings.fresh_draws)
        ],
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
        step_estimator=settings.step_estimator,
        validation=settings.validation,
        fresh=settings.fresh_draws,
        key=KEY,
        code=settings.code("curriculum.py"),
    message:
        "Judging the searched orders"
    script:
        "../scripts/curriculum.py"
