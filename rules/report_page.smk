# The report for readers: one page with the answers and all figures. Snakemake's own report
# (`snakemake --report`) opens with the first page of it.
rule report_page:
    input:
        **RESULT_FILES,
        optional=FURTHER,
        winners=rules.curriculum.output.winners if config["curriculum"] else [],
        figures=rules.figures.output,
        explorer=rules.explorer.output if settings.has_explorer else [],
    output:
        report=f"{RESULTS}/report.html",
        first_page=f"{RESULTS}/figures/first_page.html",
    log:
        f"{RESULTS}/logs/report_page.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=10),
    params:
        names=list(settings.figures),
        code=settings.code("report_page.py"),
    message:
        "Writing the report"
    script:
        "../scripts/report_page.py"
