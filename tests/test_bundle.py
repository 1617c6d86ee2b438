"""A bundle holds the results whole, and takes nothing else out of an archive."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import synthetic
from trainorder.bundle import CHECKSUMS, FILES, unpack, write_bundle
from trainorder.errors import UserError
from trainorder.figures import draw_all


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = synthetic.make(tmp_path_factory.mktemp("study"), random=12, calibration=10)
    made.validate()
    return made


@pytest.fixture(scope="module")
def archive(study, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "synthetic.tar.gz"
    write_bundle(study.results, path)
    return path


def test_everything_comes_back_byte_by_byte(study, archive, tmp_path):
    folder = unpack(archive, tmp_path)
    assert folder == tmp_path / "results" / "synthetic"
    for name in FILES:
        original = study.results / name
        assert (folder / name).exists() == original.exists()
        if original.exists():
            assert (folder / name).read_bytes() == original.read_bytes()
    assert set(json.loads((folder / "provenance.json").read_text())) >= {"versions", "machine"}
    assert "estimators:" in (folder / "config.yaml").read_text()


def test_the_checksums_are_those_that_sha256sum_reads(archive, tmp_path):
    folder = unpack(archive, tmp_path)
    checked = subprocess.run(["sha256sum", "-c", CHECKSUMS], cwd=folder, capture_output=True)
    assert checked.returncode == 0, checked.stdout


def test_the_same_results_give_the_same_bytes(study, archive, tmp_path):
    write_bundle(study.results, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()


def test_figures_of_an_unpacked_bundle_are_those_of_the_study(study, archive, tmp_path):
    folder = unpack(archive, tmp_path)
    mine = draw_all(folder, tmp_path / "mine")
    theirs = draw_all(study.results, tmp_path / "theirs")
    assert [path.name for path in mine] == [path.name for path in theirs]
    for one, other in zip(mine, theirs, strict=True):
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
    "a path out of the folder": [("results/../../x", b"x", tarfile.REGTYPE)],
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
def test_what_is_no_bundle_is_one_line_and_leaves_nothing(case, tmp_path):
    file = packed(tmp_path / "bad.tar.gz", BAD[case])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UserError) as raised:
        unpack(file, target)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list(target.iterdir()), "something was unpacked"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.gz", "target"]


def test_a_damaged_archive_is_one_line(archive, tmp_path):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(UserError, match="not readable as an archive"):
        unpack(broken, tmp_path)


def test_a_result_that_differs_is_not_overwritten(archive, tmp_path):
    folder = unpack(archive, tmp_path)
    (folder / "truth.csv").write_text("mine")
    with pytest.raises(UserError, match=r"truth\.csv: is there already"):
        unpack(archive, tmp_path)
    assert (folder / "truth.csv").read_text() == "mine"


def test_the_command_unpacks_and_says_what_to_do_next(archive, tmp_path):
    script = Path(__file__).parents[1] / "scripts/unpack.py"
    command = [sys.executable, str(script), str(archive)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "snakemake figures --cores 1 --configfile results/synthetic/config.yaml" in done.stdout
    assert subprocess.run(command[:-1], cwd=tmp_path, capture_output=True).returncode == 1
