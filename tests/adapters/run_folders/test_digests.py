"""Digests of data folders: what changes them."""

from pathlib import Path

from camray.adapters.run_folders.digests import folder_digest


def test_a_folder_digest_sees_new_and_changed_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = folder_digest(tmp_path)
    assert folder_digest(tmp_path) == first
    (tmp_path / "b").write_bytes(b"2")
    second = folder_digest(tmp_path)
    (tmp_path / "b").write_bytes(b"22")
    assert len({first, second, folder_digest(tmp_path)}) == 3


def test_a_folder_digest_sees_linked_folders_and_ends(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    (tmp_path / "root" / "dead").symlink_to("nowhere")
    first = folder_digest(tmp_path / "root")
    (tmp_path / "elsewhere" / "b").write_text("x")
    assert folder_digest(tmp_path / "root") != first
