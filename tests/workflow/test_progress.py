"""`make study` prints one line per finished job, and complete errors."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from trainorder.workflow.make_study import note_results, noted_results, run_study
from trainorder.workflow.progress import Progress
from workflow_tree import SMOKE, wait_until

pytestmark = pytest.mark.slow

START = 1000.0  # seconds since the epoch


def record(event, seconds=0.0, level=logging.INFO, message="", **values):
    """Return a log record as Snakemake makes it, `seconds` after the start."""
    log_record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    log_record.created = START + seconds
    vars(log_record).update(values, event=event)
    return log_record


def lines(*records, results=None):
    progress = Progress(lambda log_record: str(log_record.msg), lambda: results)
    return [line for log_record in records for line in progress.lines(log_record)]


def info(job, rule, seconds=0.0, **wildcards):
    return record("job_info", seconds, jobid=job, rule_name=rule, wildcards=wildcards)


def finished(job, seconds, done, total):
    return [
        record("job_finished", seconds, job_id=job),
        record("progress", seconds, done=done, total=total),
    ]


PLANNED = record("run_info", stats={"truth": 2, "probes": 1, "all": 1, "total": 4})


def test_a_finished_job_is_one_line_with_the_share_done_and_its_time():
    shown = lines(
        PLANNED,
        info(1, "truth", shard="0"),
        info(2, "truth", 1, shard="1"),
        *finished(2, 42, 1, 4),
        *finished(1, 100, 2, 4),
        info(3, "probes", 100, path="reference"),
        *finished(3, 101, 3, 4),
        info(0, "all", 101),
        *finished(0, 101, 4, 4),
    )
    assert shown == [
        "3 jobs to run",
        "[ 25%] truth 1 of 2 ... 41 s",
        "[ 50%] truth 2 of 2 ... 1 min 40 s",
        "[ 75%] probes reference ... 1 s",
    ]


@pytest.fixture
def planned(tmp_path):
    """Return a folder of results with a plan of 400 s for both jobs of `truth` and 40 s for one."""
    stages = {"truth": {"seconds": 400, "jobs": 2}, "probes/reference": {"seconds": 40, "jobs": 1}}
    total = {"seconds": 440, "wall_hours": 440 / 2 / 3600}
    (tmp_path / "plan.json").write_text(json.dumps({"stages": stages, "total": total}))
    return tmp_path


def test_with_a_plan_each_line_has_the_time_left_and_the_last_one_none(planned):
    shown = lines(
        PLANNED,
        info(1, "truth", shard="0"),
        *finished(1, 200, 1, 4),
        info(2, "truth", 200, shard="1"),
        *finished(2, 400, 2, 4),
        info(3, "probes", 400, path="reference"),
        *finished(3, 440, 3, 4),
        *finished(0, 441, 4, 4),
        results=planned,
    )
    assert shown[0] == "3 jobs to run, about 4 min by the plan"
    assert [line.partition(", ")[2] for line in shown[1:]] == [
        "about 4 min left",
        "less than a minute left",
        "less than a minute left",
    ]


def test_without_a_plan_the_first_line_says_how_to_see_the_time_left(tmp_path):
    shown = lines(PLANNED, info(1, "truth", shard="0"), *finished(1, 9, 1, 4), results=tmp_path)
    assert shown[0] == "3 jobs to run; to see the time left, run `snakemake plan` first"
    assert shown[1].endswith("... 9 s")


def test_the_verdict_is_shown_as_soon_as_it_is_known(tmp_path):
    judged = {"verdict": "trusted", "best_estimator": "nystrom", "estimators": {}}
    judged["estimators"]["nystrom"] = {"verdict_reason": "its errors are small"}
    (tmp_path / "validation.json").write_text(json.dumps(judged))
    jobs = record("run_info", stats={"validate": 1, "figures": 1, "r1_validate": 1, "total": 3})
    shown = lines(
        jobs,
        info(1, "validate"),
        *finished(1, 5, 1, 3),
        info(2, "r1_validate", 5),  # of a replicate, which is another study
        *finished(2, 6, 2, 3),
        info(3, "figures", 6),
        *finished(3, 9, 3, 3),
        results=tmp_path,
    )
    assert shown[1:] == [
        "[ 33%] validate ... 5 s",
        "verdict: trusted, by nystrom: its errors are small",
        "[ 67%] r1_validate ... 1 s",
        "[100%] figures ... 3 s",
    ], "the verdict must follow the job that finds it, once"


def test_a_damaged_plan_is_like_none(planned):
    (planned / "plan.json").write_text("{")
    assert "snakemake plan" in lines(PLANNED, results=planned)[0]


def test_a_run_of_no_job_has_no_time_left(planned):
    nothing = record("run_info", stats={"all": 1, "total": 1})
    assert lines(nothing, *finished(0, 1, 1, 1), results=planned) == ["0 jobs to run"]


def test_a_job_that_is_repeated_is_timed_from_its_last_start():
    shown = lines(PLANNED, info(1, "truth", 0), info(1, "truth", 50), *finished(1, 60, 1, 4))
    assert shown[-1] == "[ 25%] truth 1 of 2 ... 10 s"


def test_reasons_and_shell_commands_are_not_shown():
    noise = [record(None, message="Select jobs to execute..."), record("shellcmd", message="ls")]
    assert lines(*noise) == []


def test_a_finished_study_says_that_nothing_is_left_to_do():
    message = "Nothing to be done (all requested files are present and up to date)."
    assert lines(record(None, message=message)) == [message]


def test_a_failed_job_is_named_with_its_log_and_the_first_one_with_what_to_do():
    error = record("job_error", level=logging.ERROR, rule_name="truth", log=["logs/truth-0.log"])
    shown = "Rule truth failed; its log: logs/truth-0.log"
    advice = "Finished jobs stay: remove the cause and run the same command again"
    assert lines(error, error) == [shown, advice, shown]


def test_other_errors_and_warnings_are_shown_completely():
    messages = ["MissingInputException in rule corpus:\nMissing input files", "low disk space"]
    records = [
        record("error", level=logging.ERROR, message=messages[0]),
        record(None, level=logging.WARNING, message=messages[1]),
    ]
    assert lines(*records) == messages


def test_the_plan_is_announced_once():
    assert lines(PLANNED, PLANNED) == ["3 jobs to run"]


def test_the_first_study_that_a_snakefile_reads_is_noted(tmp_path, monkeypatch):
    environment = {"TRAINORDER_RESULTS_NOTE": str(tmp_path / "note")}
    monkeypatch.chdir(tmp_path)  # as Snakemake does with `-d`
    note_results("results/mine", environment)
    note_results("results/mine-replicate", environment)
    assert (tmp_path / "note").read_text() == str(tmp_path / "results/mine")
    note_results("results/mine", {})
    assert noted_results(environment) == tmp_path / "results/mine"
    assert noted_results({}) is None, "Snakemake was not started for a study"


def pretended(tmp_path, code):
    """Return a command that runs `code` in place of Snakemake."""
    script = tmp_path / "pretended.py"
    script.write_text(textwrap.dedent(code))
    return [sys.executable, str(script)]


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_exit_status_is_that_of_snakemake(tmp_path, status):
    assert run_study([], pretended(tmp_path, f"raise SystemExit({status})")) == status


def test_arguments_reach_snakemake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "import sys; open('arguments', 'w').write(' '.join(sys.argv[1:]))"
    run_study(["--configfile", "mine.yaml", "--cores", "2"], pretended(tmp_path, code))
    written = (tmp_path / "arguments").read_text()
    assert written == "--logger stages --cores all --configfile mine.yaml --cores 2"


def test_ctrl_c_lets_snakemake_end_by_itself(tmp_path):
    code = """
        import os, pathlib, signal, time

        def end(number, frame):  # an exception could get lost in a callback
            time.sleep(0.5)  # the jobs end
            pathlib.Path("ended").touch()
            os._exit(7)

        signal.signal(signal.SIGINT, end)
        pathlib.Path("started").touch()
        time.sleep(60)
    """
    command = pretended(tmp_path, code)
    run = f"from trainorder.workflow.make_study import run_study; exit(run_study([], {command}))"
    with subprocess.Popen(
        [sys.executable, "-c", run], cwd=tmp_path, start_new_session=True
    ) as process:
        wait_until((tmp_path / "started").exists, process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(timeout=30) == 7
    assert (tmp_path / "ended").exists(), "Snakemake was killed before its jobs ended"


@pytest.mark.study
def test_a_finished_study_ends_with_its_summary(study):
    process = subprocess.run(
        [sys.executable, "-m", "trainorder.workflow.make_study", "--cores", "1", *SMOKE],
        cwd=study.root,
        env=study.environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "Nothing to be done" in process.stderr
    assert "Building DAG" not in process.stderr, "Snakemake's own output is shown"
    assert (study.results / "report.html").exists()
    shown = dict(line.split(maxsplit=1) for line in process.stdout.strip().splitlines())
    assert shown["study"] == "smoke"
    assert shown["report"] == "results/smoke/report.html"
    assert shown["explorer"] == "results/smoke/explorer.html"


@pytest.mark.study
def test_each_job_that_runs_again_is_one_line(study):
    (study.results / "explorer.html").unlink()
    status, output = study.snakemake("--logger", "stages", "--cores", "1", *SMOKE)
    assert status == 0, output
    shown = [line for line in output.splitlines() if line.startswith("[")]
    assert [line.split("] ")[1].split(" ...")[0] for line in shown] == ["explorer", "report_page"]
    assert "Reason:" not in output


@pytest.mark.study
def test_a_failed_job_is_reported_with_its_error_and_its_log(study):
    (study.results / "explorer.html").unlink()
    (study.results / "store/barycentre/reduced.h5").write_bytes(b"damaged")
    status, output = study.snakemake(
        "--logger", "stages", "--cores", "1", "--rerun-triggers", "input", *SMOKE
    )
    assert status == 1
    assert re.search(r"Rule (\w+) failed; its log: results/smoke/logs/\1\S*\.log", output), output
    [line] = [line for line in output.splitlines() if line.startswith("error:")]
    assert "reduced.h5" in line
