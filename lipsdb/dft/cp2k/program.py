"""Which CP2K runs, and how: command, version, data folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lipsdb.errors import MissingProgramError
from lipsdb.settings import read_settings

_PROGRAMS = ("cp2k.psmp", "cp2k.popt", "cp2k.ssmp", "cp2k.sopt", "cp2k")
_REMEDY = (
    "install CP2K (Debian: apt-get install cp2k; conda-forge: cp2k), or set LIPSDB_CP2K_COMMAND to the command that "
    "runs it"
)


@dataclass(frozen=True)
class Cp2kProgram:
    """An installed CP2K."""

    path: str
    version: str
    data_folder: Path
    parallel: bool  # built with MPI


@lru_cache(maxsize=4)
def _describe(path: str) -> Cp2kProgram:
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except OSError as error:
        raise MissingProgramError(f"{path} cannot be run ({error}); {_REMEDY}") from error
    version = re.search(r"CP2K version (\S+)", text)
    if version is None:
        raise MissingProgramError(f"{path} does not say its version when called with --version; {_REMEDY}")
    folder = re.search(r'__DATA_DIR="?([^"\s]+)"?', text)
    flags = re.search(r"cp2kflags:(.*)", text)
    parallel = "parallel" in (flags[1].split() if flags else [])
    return Cp2kProgram(path, version[1], Path(folder[1] if folder else "."), parallel)


def describe() -> Cp2kProgram:
    """The CP2K that is used: the last word of ``LIPSDB_CP2K_COMMAND``, or the first found on ``PATH``.

    Raises
    ------
    MissingProgramError
        If there is none.
    """
    words = shlex.split(read_settings().cp2k_command or "")
    found = shutil.which(words[-1]) if words else next((p for p in map(shutil.which, _PROGRAMS) if p), None)
    if found is None:
        raise MissingProgramError(f"no {words[-1] if words else 'cp2k.psmp'} on PATH; {_REMEDY}")
    return _describe(found)


def command(ranks: int) -> list[str]:
    """The words that start CP2K on so many MPI ranks, one thread each; the input file is added by the caller.

    ``LIPSDB_CP2K_COMMAND`` stands as it is; ``{ranks}`` in it is replaced. Otherwise Open MPI's ``mpirun`` is used,
    since CP2K's packages are built with it (this Python's own ``mpirun`` may be another MPI's).
    """
    program = describe()
    words = shlex.split(read_settings().cp2k_command or "")
    if words:
        return [*(word.replace("{ranks}", str(ranks)) for word in words[:-1]), program.path]
    mpirun = shutil.which("mpirun.openmpi")
    if ranks == 1 or not program.parallel:
        return [program.path]
    if mpirun is None:
        raise MissingProgramError(
            f"{ranks} MPI ranks are asked for, but there is no mpirun.openmpi on PATH; install Open MPI, ask for one "
            "rank, or set LIPSDB_CP2K_COMMAND, such as 'mpirun -n {ranks} cp2k.psmp'"
        )
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return [mpirun, *root, "--oversubscribe", "--bind-to", "none", "-np", str(ranks), program.path]


def environment() -> dict[str, str]:
    """Environment of CP2K: one thread a rank."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}
