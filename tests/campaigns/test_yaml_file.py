"""What is not YAML, and what YAML 1.1 would misread."""

from __future__ import annotations

import pytest

from lipsdb.campaigns.yaml_file import read_yaml
from lipsdb.errors import BadInputError


def _read(folder, content: bytes):
    path = folder / "c.yaml"
    path.write_bytes(content)
    return read_yaml(path)


@pytest.mark.parametrize("head", ["", "%YAML 1.1\n---\n", "\ufeff"])
def test_numbers_and_words_that_yaml_1_1_misreads(tmp_path, head):
    data = _read(tmp_path, (head + "a: [1e-5, 1.0e-5, 1E5, 2e3, .5, 1_000]\nb: [no, on, yes]\n").encode()).data
    assert data == {"a": [1e-5, 1e-5, 1e5, 2000.0, 0.5, 1000], "b": ["no", "on", "yes"]}


def test_positions_of_keys_values_and_merged_values(tmp_path):
    source = _read(tmp_path, b"x: &x {p: 1, r: 2}\ny:\n  <<: *x\n  q: [3, 4]\n  r: 5\n")
    assert source.data["y"] == {"p": 1, "q": [3, 4], "r": 5}
    assert source.position(("y", "q", 1)) == (4, 10)
    assert source.position(("y", "q"), key=True) == (4, 3)
    assert source.position(("y", "p")) == (1, 11)
    assert source.position(("y", "r")) == (5, 6)
    assert source.position(("y", "missing")) == (3, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty"),
        (b"# nothing\n", ": the file is empty"),
        (b"a:\n\tb: 1\n", ":2:1: tab character in the indentation: YAML allows spaces only"),
        (b"a: [1,\n", ":2:1: not YAML: .*check indentation, colons and brackets"),
        (b"a: b: c\n", ":1:5: not YAML: mapping values are not allowed here"),
        (b"a: *x\n", ":1:4: not YAML: found undefined alias 'x'"),
        (b"a: 1\n---\nb: 1\n", ":2:1: a second document"),
        (b"- 1\n", ":1:1: a list stands at the top, a mapping"),
        (b"just text\n", ":1:1: a single value stands at the top"),
        (b"a: !!python/object:os.system {}\n", ":1:4: not YAML: could not determine a constructor"),
        (b"? [1, 2]\n: 3\n", ":1:3: a key must be a single value"),
        (b"\xff\xfe\x00", ": byte 0 is not UTF-8"),
        (b"a: \x00\n", ": not YAML"),
    ],
)
def test_what_is_not_a_yaml_mapping_gets_one_line(tmp_path, content, message):
    with pytest.raises(BadInputError, match=f"c.yaml{message}") as caught:
        _read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_every_repeated_key_is_listed(tmp_path):
    with pytest.raises(BadInputError) as caught:
        _read(tmp_path, b"a: 1\nb: {c: 1, c: 2}\na: 3\n")
    first, second = str(caught.value).split("\n")
    assert first.endswith("c.yaml:3:1: key 'a' stands twice in this mapping (line 1 too): remove one")
    assert second.endswith("c.yaml:2:11: key 'c' stands twice in this mapping (line 2 too): remove one")


def test_missing_file_and_folder_get_one_line(tmp_path):
    with pytest.raises(BadInputError, match=r"gone.yaml: no such file"):
        read_yaml(tmp_path / "gone.yaml")
    with pytest.raises(BadInputError, match=r"cannot be read \(Is a directory\)"):
        read_yaml(tmp_path)
