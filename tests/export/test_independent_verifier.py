"""A second verifier, written from the rules alone, agrees with `lipsdb verify` on an archive and on forgeries of it."""

from __future__ import annotations

import random
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipsdb.export.verification import verify_archive

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_archive.py"
INDEPENDENT: Callable[[Path], Any] = runpy.run_path(str(SCRIPT))["verify"]
Files = dict[str, bytes]


def both(path: Path) -> tuple[list[str], list[str]]:
    """Faults that lipsdb and the independent verifier find."""
    theirs: list[str] = []
    try:
        theirs.extend(INDEPENDENT(path))
    except Exception as error:
        theirs.append(repr(error))
    return verify_archive(path).faults, theirs


def text(name: str, old: str, new: str) -> Callable[[Files], None]:
    """Replace what a pattern matches first."""

    def change(files: Files) -> None:
        changed, n = re.subn(old, new, files[name].decode(), count=1)
        assert n == 1
        files[name] = changed.encode()

    return change


def lines(name: str, change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Files], None]:
    return lambda files: files.update({name: b"".join(change(files[name].splitlines(keepends=True)))})


def flip(files: Files) -> None:
    name = next(name for name in files if name.startswith("artifacts/") and len(files[name]) > 5000)
    files[name] = files[name][:1000] + bytes([files[name][1000] ^ 1]) + files[name][1001:]


def remove_artifact(files: Files) -> None:
    del files[next(name for name in files if name.startswith("artifacts/"))]


def move(files: Files) -> None:
    first, *others = files["documents/runs.jsonl"].splitlines(keepends=True)
    files["documents/runs.jsonl"] = b"".join(others)
    files["documents/labels.jsonl"] += first


PROPERTIES, RUNS, LABELS = (f"documents/{name}.jsonl" for name in ("properties", "runs", "labels"))
FORGERIES: dict[str, tuple[Callable[[Files], None], str]] = {
    "answer": (text(PROPERTIES, r'"1\.25e-05"', '"1.26e-05"'), "the answer is not the one that was stored"),
    "question": (
        text(PROPERTIES, r'("parameters":\{"T":\{"\$numberDouble":)"\d+', r'\1"610'),
        "the identity does not follow from what was asked",
    ),
    "maker": (text(LABELS, r'("core_seconds":\{"\$numberDouble":)"[^"]*', r'\1"1.0'), "a sealed field was changed"),
    "origin": (text(LABELS, '"origin":{', '"origin":{"x":null,'), "a sealed field was changed"),
    "array": (text(PROPERTIES, r'("base64":"[^"]{60})([0-9a-z])', r"\1A"), "cannot be read"),
    "shape": (text(RUNS, r'"shape":\[\{"\$numberInt":"\d+', '"shape":[{"$numberInt":"7'), "the answer is not"),
    "artifact": (flip, "is damaged: its SHA-256 is not its name"),
    "no artifact": (remove_artifact, "is missing"),
    "link": (text(PROPERTIES, r'("inputs":\[\{.*?"content":")[0-9a-f]{4}', r"\g<1>0000"), "a sealed field was changed"),
    "link's end": (text(PROPERTIES, r'"id":"run-[0-9a-f]{4}', '"id":"run-0000'), "its input run-0000"),
    "deleted": (lines(RUNS, lambda found: found[1:]), r"its input run-\w+ is missing"),
    "last deleted": (lines(PROPERTIES, lambda found: found[:-1]), "archive.json: says documents"),
    "doubled": (lines(LABELS, lambda found: [*found, found[0]]), "is there twice"),
    "moved": (move, "is a run, which does not belong there"),
    "external": (lines("externals.jsonl", lambda found: found[1:]), r"its input potential-\w+ is missing"),
}


def test_both_verify_the_archive_of_a_campaign(archive: Path) -> None:
    assert both(archive) == ([], [])
    done = subprocess.run([sys.executable, SCRIPT, archive], capture_output=True, text=True, check=True)
    assert done.stdout == "verified\n"
    assert "lipsdb" not in re.sub(r'""".*?"""', "", SCRIPT.read_text(), flags=re.DOTALL)


def test_both_find_every_forgery_even_with_manifest_and_metadata_made_to_fit(forge: Callable[..., Path]) -> None:
    for name, (change, message) in FORGERIES.items():
        ours, theirs = both(forge(change))
        assert any(re.search(message, fault) for fault in ours), (name, ours)
        assert theirs, name


def test_both_find_what_differs_from_the_manifest(forge: Callable[..., Path]) -> None:
    manifest = "manifest-sha256.txt"
    changes: dict[str, Callable[[Files], None]] = {
        "line gone": lines(manifest, lambda found: found[1:]),
        "other hash": text(manifest, "^[0-9a-f]{4}", "0000"),
        "table": text("tables/diffusion.json", r"1\.25e-05", "1.26e-05"),
        "metadata": text("ro-crate-metadata.json", "Lithium", "Sodium"),
        "new file": lambda files: files.update({"artifacts/notes.txt": b"new"}),
        "file gone": lambda files: files.pop("environment.json") and None,
    }
    for name, change in changes.items():
        ours, theirs = both(forge(change, repaired=False))
        assert ours, name
        assert theirs, name


def test_both_agree_on_random_digits(forge: Callable[..., Path]) -> None:
    chance = random.Random(20260131)

    def change(files: Files) -> None:
        name = chance.choice([name for name in sorted(files) if name.startswith("documents/")])
        places = [match.start() for match in re.finditer(rb"[0-9]", files[name])]
        place = chance.choice(places)
        digit = chance.choice(sorted(set(b"0123456789") - {files[name][place]}))
        files[name] = files[name][:place] + bytes([digit]) + files[name][place + 1 :]

    n_found = 0
    for _ in range(40):
        ours, theirs = both(forge(change))
        assert bool(ours) == bool(theirs), (ours, theirs)
        n_found += bool(ours)
    assert n_found >= 38  # the seventeenth digit of a number may mean nothing
