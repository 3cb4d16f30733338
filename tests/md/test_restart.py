from __future__ import annotations

from lipsdb.md.restart import RESTART_MAGIC, Segment, is_whole_restart, list_segments, newest_restart, prune_restarts


def test_folder_with_torn_and_whole_restart_files_gives_the_newest_whole_one(tmp_path) -> None:
    whole = RESTART_MAGIC + bytes(100) + RESTART_MAGIC
    for name, content in {
        "restart.900": b"",
        "restart.1000": whole[:-1],
        "restart.800": whole,
        "restart.70": whole,
        "restart.new": whole,
    }.items():
        (tmp_path / name).write_bytes(content)
    assert newest_restart(tmp_path) == (800, tmp_path / "restart.800")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["restart.70", "restart.800", "restart.new"]
    prune_restarts(tmp_path, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["restart.800", "restart.new"]


def test_file_shorter_than_the_two_marks_or_missing_is_not_whole(tmp_path) -> None:
    (tmp_path / "short").write_bytes(RESTART_MAGIC)
    assert not is_whole_restart(tmp_path / "short")
    assert not is_whole_restart(tmp_path / "missing")


def test_segments_are_listed_in_the_order_they_were_started(tmp_path) -> None:
    segments = [Segment(tmp_path, 0, 0), Segment(tmp_path, 1, 700), Segment(tmp_path, 2, 0)]
    for segment in reversed(segments):
        segment.path("in").touch()
    assert list_segments(tmp_path) == segments
