"""Files are replaced only by complete ones; modes, links and line ends are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.diagnostics import SpecError
from archdsl.files.write import remove_parts, write_atomically, write_text

UGLY = "model  m {\n  input(3);relu\n}\n"
FORMED = "model m {\n  input(3); relu\n}\n"


def test_a_file_whose_writing_fails_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(beside: Path) -> None:
        beside.write_text("ne")
        raise OSError("the disk is full")

    with pytest.raises(SpecError) as raised:
        write_atomically(path, half)
    assert [one.code for one in raised.value.diagnostics] == ["E708"]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="a process is ended in the midst of its work")
def test_fmt_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    """The moment that matters: the new text is written and not yet in place."""
    path = tmp_path / "a.arch"
    path.write_text(UGLY)
    child = os.fork()
    if child == 0:
        Path.replace = lambda *_: os._exit(9)  # type: ignore[method-assign]
        main(["fmt", str(path)])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert path.read_text() == UGLY
    assert len(list(tmp_path.iterdir())) == 2
    remove_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="modes and links")
def test_fmt_keeps_mode_and_link(tmp_path: Path) -> None:
    path, link = tmp_path / "a.arch", tmp_path / "link.arch"
    path.write_text(UGLY)
    path.chmod(0o640)
    link.symlink_to(path.name)
    assert main(["fmt", str(link)]) == 0
    assert link.is_symlink()
    assert path.read_text() == FORMED
    assert path.stat().st_mode & 0o777 == 0o640


def test_fmt_keeps_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    path.write_bytes(UGLY.replace("\n", "\r\n").encode())
    assert main(["fmt", str(path)]) == 0
    assert path.read_bytes() == FORMED.replace("\n", "\r\n").encode()
    assert main(["fmt", "--check", str(path)]) == 0


def test_new_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_text(tmp_path / "new", "text")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices")
def test_devices_are_written_to() -> None:
    write_text(Path("/dev/null"), "text")
    assert not Path("/dev/null").is_file()


def test_a_long_name(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 250), "text")
    assert (tmp_path / ("a" * 250)).read_text() == "text"
