from __future__ import annotations

from pathlib import Path

import numpy as np

from lipsdb.potentials.mtp import simd
from lipsdb.potentials.mtp.simd import cache_folder, compiled, load, root, spread, store, total


@compiled
def _all_operations(left, right, result):
    for j in range(0, left.size, 8):
        x, y = load(left, j), load(right, j)
        store(result, j, (root(x) + 2.0 * y) / (x - y * 0.25) - 3.0 / y + spread(0.5))
    return total(load(left, 3))


def test_eight_lanes_compute_what_numpy_does():
    left, right, result = np.random.default_rng(1).uniform(1.0, 2.0, (3, 24))
    summed = _all_operations(left, right, result)
    np.testing.assert_allclose(result, (np.sqrt(left) + 2 * right) / (left - right / 4) - 3 / right + 0.5, rtol=1e-14)
    assert np.isclose(summed, left[3:11].sum(), rtol=1e-14)


def test_a_kernel_without_a_place_for_its_cache_is_compiled_all_the_same():
    namespace: dict[str, object] = {}
    exec("def twice(x):\n    return 2 * x", namespace)  # numba can't cache code that is in no file
    assert compiled(namespace["twice"])(21) == 42


def test_without_a_home_and_a_folder_that_may_be_written_kernels_are_compiled_all_the_same(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(simd.os, "access", lambda path, mode: False)
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(simd, "cache_folder", cache_folder.__wrapped__)
    before = simd.numba_config.CACHE_DIR
    assert compiled(_twice)(21) == 42
    assert before == simd.numba_config.CACHE_DIR


def _twice(x):
    return 2 * x


def test_a_folder_of_another_user_beside_the_sources_is_not_written_to(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(simd.os, "access", lambda path, mode: Path(path).name != "__pycache__")
    assert cache_folder.__wrapped__().parent == tmp_path / "lipsdb"


def test_a_change_in_any_kernel_source_gives_another_cache(monkeypatch, tmp_path):
    before = cache_folder()
    for path in Path(simd.__file__).parent.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(simd, "__file__", str(tmp_path / "simd.py"))
    same = cache_folder.__wrapped__()
    assert (same.name, same.parent) == (before.name, tmp_path / "__pycache__")
    (tmp_path / "moments.py").write_text((tmp_path / "moments.py").read_text() + "\n")
    assert cache_folder.__wrapped__().name != before.name
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert cache_folder.__wrapped__().parent == Path("/elsewhere")
