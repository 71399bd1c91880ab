"""Files that are written whole or not at all."""

import os
import stat

import pytest

from gongbao.files import bundled, replacing, sha256


def test_a_file_is_there_when_the_block_has_ended(tmp_path):
    path = tmp_path / "中文 名" / "a.txt"
    with replacing(path) as file:
        file.write("一\r\n二\n")
        assert not path.exists()
    assert path.read_bytes() == "一\r\n二\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there_and_nothing_beside(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(error), replacing(path, "wb") as file:
        file.write(b"new")
        raise error
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), replacing(path) as file:
        file.write("new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_is_that_of_an_ordinary_file_or_of_the_one_replaced(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "new") as file:
        file.write("x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    with replacing(tmp_path / "new") as file:
        file.write("y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_name_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / f"{'报' * 83}.jsonl"
    with replacing(path) as file:
        file.write("x")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    for content in ("new", "newer"):
        with replacing(tmp_path / "link") as file:
            file.write(content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there" / "file").read_text(encoding="utf-8") == content
    assert len(list((tmp_path / "there").iterdir())) == 1


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_bundled_files_are_found_and_others_are_not():
    assert bundled("annotations/label_config.xml").read_text(encoding="utf-8").lstrip().startswith("<")
    with pytest.raises(FileNotFoundError, match=r"no/such\.file does not come"):
        bundled("no/such.file")
