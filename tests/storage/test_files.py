"""Published files are complete or absent, even if the writer fails or is killed."""

import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trainorder.errors import UserError
from trainorder.storage.atomic import publish, publish_folder, remove_folder
from trainorder.storage.formats import (
    read_csv,
    read_json,
    sha256_file,
    write_csv,
    write_json,
    write_text,
)


class WriterError(Exception):
    """Any failure of the code that fills a file."""


def test_after_an_exception_the_old_file_remains_and_no_private_file(tmp_path):
    target = tmp_path / "result.txt"
    write_text(target, "old")
    with pytest.raises(WriterError), publish(target) as private:
        private.write_text("part of the new text")
        raise WriterError
    assert target.read_text() == "old", "the file of a failed writer was published"
    assert os.listdir(tmp_path) == ["result.txt"], "the private file was not removed"


def test_after_an_exception_a_new_file_does_not_exist(tmp_path):
    target = tmp_path / "new" / "result.txt"
    with pytest.raises(WriterError), publish(target) as private:
        private.write_text("half")
        raise WriterError
    assert not target.exists()


def test_a_reader_sees_the_old_file_until_the_new_file_is_complete(tmp_path):
    target = tmp_path / "result.txt"
    write_text(target, "old")
    with publish(target) as private:
        private.write_text("new")
        assert private.parent == target.parent, (
            "private file in another folder; a rename across file systems is not atomic"
        )
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("before", [None, "old"])
def test_a_killed_writer_changes_nothing(tmp_path, before):
    target = tmp_path / "result.txt"
    if before is not None:
        write_text(target, before)
    code = f"""
        import time
        from trainorder.storage.atomic import publish
        with publish({str(target)!r}) as private:
            with open(private, "w") as handle:
                handle.write("half")
                handle.flush()
                print("written", flush=True)
                time.sleep(60)
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert len(list(tmp_path.glob(".*.partial"))) == 1
    if before is None:
        assert not target.exists(), "a partial file was published"
    else:
        assert target.read_text() == before, "a killed writer changed the published file"
    write_text(target, "after")
    assert target.read_text() == "after", (
        "the private file of a killed writer blocks the next writer"
    )
    assert os.listdir(tmp_path) == ["result.txt"], (
        "the private file of the killed writer was not removed"
    )


def test_private_files_of_running_writers_and_of_other_machines_are_kept(tmp_path):
    target, host = tmp_path / "result.txt", socket.gethostname()
    ended_writer = subprocess.Popen([sys.executable, "-c", ""])
    ended_writer.wait()
    kept = [
        f".result.txt.{host}.{os.getppid()}.partial",
        f".result.txt.another-{host}.{ended_writer.pid}.partial",
        f".other.txt.{host}.{ended_writer.pid}.partial",
    ]
    for name in [*kept, f".result.txt.{host}.{ended_writer.pid}.partial"]:
        (tmp_path / name).write_text("half")
    write_text(target, "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "result.txt"])


def test_two_concurrent_writers_of_one_file_do_not_mix(tmp_path):
    code = """
        import sys
        from trainorder.storage.formats import write_text
        for _ in range(50):
            write_text(sys.argv[1], sys.argv[2] * 100_000)
    """
    target = tmp_path / "result.txt"
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), target, letter])
        for letter in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert target.read_text() in ("a" * 100_000, "b" * 100_000), "two writers shared a private file"


def test_a_folder_that_cannot_be_created_raises_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written") as caught:
        write_text(tmp_path / "file" / "result.txt", "text")
    assert str(tmp_path / "file" / "result.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_about_another_file_passes_through_unchanged(tmp_path):
    target = tmp_path / "result.txt"
    with pytest.raises(FileNotFoundError, match="gone"), publish(target):
        (tmp_path / "gone.txt").read_text()
    with pytest.raises(OSError, match="read error") as caught, publish(target):
        raise OSError(errno.EIO, "read error")  # like the error of `read`, without a file name
    assert not isinstance(caught.value, UserError)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("named", [True, False], ids=["the private file", "no file"])
def test_an_error_about_the_published_file_raises_that_it_cannot_be_written(tmp_path, named):
    target = tmp_path / "result.txt"
    message = rf"^{target}: cannot be written: No space left on device$"
    with pytest.raises(UserError, match=message), publish(target) as private:
        raise OSError(errno.ENOSPC, "full", *([str(private)] if named else []))


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None, "é"], "b": {"c": 0.1 + 0.2}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_json_raises_on_nan_and_infinity(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", value)
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe\x00", None])
def test_unreadable_json_raises_one_line_with_the_path(tmp_path, content):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_csv_preserves_all_bits_of_floats(tmp_path):
    values = [0.1, 1 / 3, 1e-300, 2.0**60 + 1, float("inf")]
    write_csv(tmp_path / "x.csv", ["name", "value"], [['a,\n"b"', v] for v in values])
    rows = read_csv(tmp_path / "x.csv")
    assert [float(row["value"]) for row in rows] == values
    assert {row["name"] for row in rows} == {'a,\n"b"'}


def test_csv_writes_none_as_an_empty_cell(tmp_path):
    write_csv(tmp_path / "x.csv", ["low", "high"], [[None, 1.0]])
    assert read_csv(tmp_path / "x.csv") == [{"low": "", "high": "1.0"}]


@pytest.mark.parametrize("content", [b"a\n\xff\n", None])
def test_unreadable_csv_raises_one_line_with_the_path(tmp_path, content):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_csv(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_file(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_folder_is_published_whole_and_replaces_the_old_one(tmp_path):
    target = tmp_path / "state"
    with publish_folder(target) as private:
        (private / "a").write_text("1")
        assert not target.exists(), "a part of the folder is visible"
    with pytest.raises(WriterError), publish_folder(target) as private:
        (private / "b").write_text("2")
        raise WriterError
    assert os.listdir(target) == ["a"]
    with publish_folder(target) as private:
        (private / "c").write_text("3")
    assert os.listdir(target) == ["c"], "files of the old folder are left"
    remove_folder(target)
    remove_folder(target)
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_of_a_folder_left_does_not_enter_the_next_one(tmp_path):
    left = tmp_path / ".state.partial"
    left.mkdir()
    (left / "old").write_text("half")
    with publish_folder(tmp_path / "state") as private:
        (private / "new").write_text("whole")
    assert os.listdir(tmp_path) == ["state"]
    assert os.listdir(tmp_path / "state") == ["new"]
