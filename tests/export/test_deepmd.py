from __future__ import annotations

import dpdata
import numpy as np
import pytest

from lipsdb.errors import BadInputError
from lipsdb.export.deepmd import write_deepmd_systems
from lipsdb.potentials.training_set import LabelledFrames


def random_frames(numbers, n_frames, *, virials=True):
    rng = np.random.default_rng(len(numbers))
    # dpdata turns cells to lower-triangular form, so that is what goes in.
    cells = np.tril(rng.normal(size=(n_frames, 3, 3))) + 9 * np.eye(3)
    shape = (n_frames, len(numbers), 3)
    return LabelledFrames(
        numbers=numbers,
        positions=rng.normal(size=shape),
        cells=cells,
        energies=rng.normal(size=n_frames),
        forces=rng.normal(size=shape),
        virials=rng.normal(size=(n_frames, 3, 3)) if virials else None,
    )


def test_dpdata_reads_back_the_frames_of_two_systems_with_one_type_map(tmp_path):
    systems = {"Li2S": random_frames([16, 3, 3], 4), "P2S5.x=1": random_frames([15, 16, 16, 15], 3, virials=False)}
    folders = write_deepmd_systems(tmp_path / "sets", systems)
    assert [folder.name for folder in folders] == list(systems)
    for folder, frames in zip(folders, systems.values(), strict=True):
        read = dpdata.LabeledSystem(str(folder), fmt="deepmd/npy")
        assert read["atom_names"] == ["Li", "P", "S"]
        np.testing.assert_array_equal(np.array([3, 15, 16])[read["atom_types"]], frames.numbers)
        np.testing.assert_allclose(read["coords"], frames.positions, atol=1e-12)
        np.testing.assert_allclose(read["cells"], frames.cells, atol=1e-12)
        np.testing.assert_array_equal(read["energies"], frames.energies)
        np.testing.assert_array_equal(read["forces"], frames.forces)
        if frames.virials is None:
            assert "virials" not in read.data
        else:
            np.testing.assert_array_equal(read["virials"], frames.virials)


def test_a_system_written_again_without_virials_has_none(tmp_path):
    write_deepmd_systems(tmp_path, {"Li": random_frames([3], 2)})
    (folder,) = write_deepmd_systems(tmp_path, {"Li": random_frames([3], 2, virials=False)})
    assert "virials" not in dpdata.LabeledSystem(str(folder), fmt="deepmd/npy").data


def test_bad_names_missing_elements_and_no_systems_are_refused(tmp_path):
    frames = random_frames([3, 16], 1)
    with pytest.raises(BadInputError, match=r"system name '\.\./x' is no plain folder name"):
        write_deepmd_systems(tmp_path, {"../x": frames})
    with pytest.raises(BadInputError, match="has S, but the potential knows Li: leave it out, or train"):
        write_deepmd_systems(tmp_path, {"a": frames}, elements=["Li"])
    with pytest.raises(BadInputError, match="no system to write"):
        write_deepmd_systems(tmp_path, {})
