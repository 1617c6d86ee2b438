"""A bundle contains all results, and unpacking an archive writes nothing else."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import synthetic
from trainorder import Study
from trainorder.errors import UserError
from trainorder.evaluation.result_files import CHECKSUMS, RESULT_FILES
from trainorder.figures.drawing import FIGURES, draw_all
from trainorder.workflow.bundle import CONFIG, unpack, write_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = synthetic.make(tmp_path_factory.mktemp("study"), random=12, calibration=10)
    study.validate()
    return study


@pytest.fixture(scope="module")
def archive(study, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "synthetic.tar.gz"
    write_bundle(study.results, path)
    return path


def test_all_files_are_restored_byte_by_byte(study, archive, tmp_path):
    folder = unpack(archive, tmp_path)
    assert folder == tmp_path / "results" / "synthetic"
    for file in RESULT_FILES:
        original = file.path(study.results)
        assert file.path(folder).exists() == original.exists()
        if original.exists():
            assert file.path(folder).read_bytes() == original.read_bytes()
    assert set(json.loads((folder / "provenance.json").read_text())) >= {"versions", "machine"}
    assert "estimators:" in (folder / "config.yaml").read_text()


def test_sha256sum_accepts_the_checksums(archive, tmp_path):
    folder = unpack(archive, tmp_path)
    checked = subprocess.run(["sha256sum", "-c", CHECKSUMS], cwd=folder, capture_output=True)
    assert checked.returncode == 0, checked.stdout


def test_the_same_results_give_the_same_bytes(study, archive, tmp_path):
    write_bundle(study.results, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()


def test_an_estimate_on_an_archive_raises_one_line_with_the_reason(archive, tmp_path):
    study = Study.open(unpack(archive, tmp_path))
    with pytest.raises(UserError, match="unpacked from an archive, which has no gradient store"):
        study.estimate(study.orders.reference)


def test_figures_of_an_unpacked_bundle_are_those_of_the_study(
    study, archive, tmp_path, monkeypatch
):
    drawn = {name: FIGURES[name] for name in ("overview", "true_spread", "forgetting")}
    monkeypatch.setattr("trainorder.figures.drawing.FIGURES", drawn)  # all take a minute
    folder = unpack(archive, tmp_path)
    redrawn = draw_all(folder, tmp_path / "redrawn")
    original = draw_all(study.results, tmp_path / "original")
    assert [path.name for path in redrawn] == [path.name for path in original]
    for one, other in zip(redrawn, original, strict=True):
        assert one.read_bytes() == other.read_bytes(), f"{one.name} differs"


def packed(path, entries):
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, len(content)
            entry.linkname = "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return path


SUMS = f"results/a/{CHECKSUMS}"
BAD = {
    "an absolute path": [("/tmp/x", b"x", tarfile.REGTYPE)],
    "a path outside the folder": [("results/../../x", b"x", tarfile.REGTYPE)],
    "a link": [("results/a/x", b"", tarfile.SYMTYPE)],
    "a device": [("results/a/x", b"", tarfile.CHRTYPE)],
    "two studies": [("results/a/x", b"x", tarfile.REGTYPE), ("results/b/x", b"", tarfile.REGTYPE)],
    "no results": [("other/a/x", b"x", tarfile.REGTYPE)],
    "no checksums": [("results/a/x", b"x", tarfile.REGTYPE)],
    "a file that is not listed": [
        ("results/a/x", b"x", tarfile.REGTYPE), (SUMS, b"", tarfile.REGTYPE),
    ],
    "a listed file that is missing": [(SUMS, b"0  x\n", tarfile.REGTYPE)],
    "another content": [
        ("results/a/x", b"x", tarfile.REGTYPE), (SUMS, b"00  x\n", tarfile.REGTYPE),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_an_invalid_archive_raises_one_line_and_writes_nothing(case, tmp_path):
    file = packed(tmp_path / "bad.tar.gz", BAD[case])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UserError) as raised:
        unpack(file, target)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list(target.iterdir()), "something was unpacked"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.gz", "target"]


def configured(path, config):
    """Write a bundle that contains only a configuration, valid except for its content."""
    listing = f"{hashlib.sha256(config).hexdigest()}  {CONFIG}\n".encode()
    entries = {f"results/a/{CONFIG}": config, SUMS: listing}
    return packed(path, [(name, content, tarfile.REGTYPE) for name, content in entries.items()])


CODE = b'study: ?__import__("os").system("touch owned")\n'
UNFIT = {  # a configuration, and part of the error message
    "code": (b"__use_yte__: true\n" + CODE, "contains code"),
    "code under an escaped key": (b'"\\x5f_use_yte__": true\n' + CODE, "contains code"),
    "code under a merged key": (b"a: &a {__use_yte__: true}\n<<: *a\n" + CODE, "contains code"),
    "a Python object": (b"study: !!python/name:os.system\n", "cannot be read as YAML"),
    "a list": (b"- a\n", "expected a mapping"),
    "text": (b"a", "expected a mapping"),
    "nothing": (b"", "expected a mapping"),
    "not YAML": (b"a: [\n", "cannot be read as YAML"),
    "an invalid date": (b"a: 2001-99-99\n", "cannot be read as YAML"),
    "too deep": (b"[" * 100_000, "cannot be read as YAML"),
    "another encoding": ("__use_yte__: true".encode("utf-16"), "cannot be read as YAML"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_invalid_configuration_or_one_with_code_is_not_unpacked(case, tmp_path):
    config, expected = UNFIT[case]
    file = configured(tmp_path / "bad.tar.gz", config)
    with pytest.raises(UserError) as raised:
        unpack(file, tmp_path / "target")
    assert str(raised.value).startswith(f"{file}: {CONFIG}")
    assert expected in str(raised.value)
    assert not (tmp_path / "target").exists(), "something was unpacked"


def test_a_configuration_of_plain_values_is_unpacked_unchanged(tmp_path):
    folder = unpack(configured(tmp_path / "good.tar.gz", CODE), tmp_path / "target")
    assert (folder / CONFIG).read_bytes() == CODE  # text to Snakemake, too


def test_a_damaged_archive_raises_one_line(archive, tmp_path):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"not readable as a \.tar\.gz archive"):
        unpack(broken, tmp_path)


def test_a_result_that_differs_is_not_overwritten(archive, tmp_path):
    folder = unpack(archive, tmp_path)
    (folder / "truth.csv").write_text("mine")
    with pytest.raises(UserError, match=r"truth\.csv: a different file exists already"):
        unpack(archive, tmp_path)
    assert (folder / "truth.csv").read_text() == "mine"


def test_the_command_unpacks_and_says_what_to_do_next(archive, tmp_path):
    script = Path(__file__).parents[2] / "scripts/unpack.py"
    command = [sys.executable, str(script), str(archive)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "snakemake report_page --configfile results/synthetic/config.yaml" in done.stdout
    assert subprocess.run(command[:-1], cwd=tmp_path, capture_output=True).returncode == 1
