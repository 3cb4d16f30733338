"""How LAMMPS gets the forces of a moment tensor potential: by a native pair style, or from lipsdb's kernel."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lipsdb.errors import BadInputError, LipsdbError, MissingProgramError
from lipsdb.md.coupling import EXTERNAL_COMMANDS, Coupling

if TYPE_CHECKING:
    from lipsdb.md.settings import Extrapolation

DRIVER = "lipsdb.potentials.mtp.lammps"
INI_FILE = "mlip.ini"
_STYLES = frozenset({"mtp", "mlip"})
_PROBE_SECONDS = 60


def coupling(
    model: Path,
    elements: Sequence[str],
    *,
    active_set: Path | None = None,
    extrapolation: Extrapolation | None = None,
) -> Coupling:
    """How LAMMPS uses a moment tensor potential.

    Parameters
    ----------
    model : Path
        The potential (.mtp), in the folder in which LAMMPS will run.
    elements : sequence of str
        Symbols of LAMMPS' atom types: those of the potential, in its order.
    active_set : Path, optional
        Active set of the potential, in the same folder.
    extrapolation : Extrapolation, optional
        Grade the atoms during the run.

    Returns
    -------
    Coupling
        With a native pair style, if the ``lmp`` that is found (or the plugin that ``LIPSDB_MTP_PLUGIN`` names) has one
        that takes the potential, unless grades are asked for; else with lipsdb's own kernel.

    Raises
    ------
    BadInputError
        If grades are asked for and there is no active set, or the plugin is not there.
    """
    if any(character.isspace() for character in model.name):
        raise BadInputError(f"model file name {model.name!r} has blanks: LAMMPS would split it; rename it")
    if extrapolation is not None and active_set is None:
        raise BadInputError(
            "extrapolation grades are asked for, but the potential was stored without its active set; leave "
            "`extrapolation` out, or train the potential again with this version of lipsdb"
        )
    if extrapolation is None:
        native = _native_commands(model, elements)
        if native is not None:
            return Coupling(native, versions=_plugin_version())
    arguments = [model.name, "--elements", *elements]
    if active_set is not None and extrapolation is not None:
        arguments += ["--active-set", active_set.name]
    return Coupling(EXTERNAL_COMMANDS, driver=(DRIVER, *arguments), grades=extrapolation is not None)


def _native_commands(model: Path, elements: Sequence[str]) -> str | None:
    """Lines of input for the first native pair style that takes the potential; None if none does."""
    from lipsdb.md.process import find_lammps
    from lipsdb.settings import read_settings

    try:
        lmp, _ = find_lammps()
    except MissingProgramError:
        return None
    plugin = read_settings().mtp_plugin
    load = "" if plugin is None else f"plugin load ./{_beside(plugin, model.parent).name}\n"
    styles = _STYLES if load else _STYLES & pair_styles(lmp)
    files = [model] if plugin is None else [model, plugin]
    refusals: list[str] = []
    for style, commands in _candidates(model.name, len(elements)):
        if style not in styles:
            continue
        refusal = _refusal(lmp, load + commands, files, len(elements))
        if refusal is None:
            if INI_FILE in commands:
                (model.parent / INI_FILE).write_text(_ini(model.name), "utf-8")
            return load + commands
        refusals.append(refusal)
    if load:
        reasons = "; ".join(dict.fromkeys(refusals))
        raise LipsdbError(
            f"LIPSDB_MTP_PLUGIN = {plugin} has no pair style mtp or mlip that LAMMPS takes {model.name} with "
            f"({reasons}); unset it, or build the plugin for the LAMMPS that is used"
        )
    return None


def _plugin_version() -> dict[str, str]:
    """What tells a plugin from others: it need not state a version."""
    from lipsdb.settings import read_settings

    plugin = read_settings().mtp_plugin
    if plugin is None:
        return {}
    return {"LIPSDB_MTP_PLUGIN": f"{plugin.name} sha256 {hashlib.sha256(plugin.read_bytes()).hexdigest()}"}


def _beside(plugin: Path, folder: Path) -> Path:
    """A link to the plugin in the folder of the run, so that the script names no path of this machine."""
    if not plugin.is_file():
        raise BadInputError(f"LIPSDB_MTP_PLUGIN = {plugin} is not a file; name the plugin (.so) of LAMMPS, or unset it")
    link = folder / plugin.name
    if not link.exists():
        link.symlink_to(plugin.absolute())
    return link


def _candidates(model_name: str, n_types: int) -> list[tuple[str, str]]:
    """Pair styles and the lines that they need.

    Notes
    -----
    ``mtp`` is that of the package ML-MTP, its first versions took the file in ``pair_style``; ``mlip`` is the interface
    of MLIP-2 with an .ini file, or that of MLIP-3 with ``load_from``.
    """
    numbers = " ".join(str(number) for number in range(n_types))
    return [
        ("mtp", f"pair_style mtp\npair_coeff * * {model_name} {numbers}"),
        ("mtp", f"pair_style mtp {model_name}\npair_coeff * *"),
        ("mlip", f"pair_style mlip {INI_FILE}\npair_coeff * *"),
        ("mlip", f"pair_style mlip load_from={model_name}\npair_coeff * *"),
    ]


def _ini(model_name: str) -> str:
    return f"mtp-filename {model_name}\nselect FALSE\n"


def pair_styles(lmp: Path) -> frozenset[str]:
    """Pair styles that an ``lmp`` lists in its help.

    Parameters
    ----------
    lmp : Path
        The program, or the wheel's script that starts it.

    Returns
    -------
    frozenset of str
        Empty if it cannot be asked; it is asked again next time then.
    """
    try:
        return _pair_styles(lmp, lmp.stat().st_mtime_ns)
    except _ProbeError:
        return frozenset()


class _ProbeError(Exception):
    """An ``lmp`` that was asked something failed or gave no answer; the message is why."""


@lru_cache(maxsize=8)  # remembers no exception
def _pair_styles(lmp: Path, _changed: int) -> frozenset[str]:
    listed = re.search(r"^\* Pair styles:?\s*\n(.*?)(?=^\*|\Z)", _output(lmp, "-h"), re.MULTILINE | re.DOTALL)
    return frozenset(listed.group(1).split()) if listed else frozenset()


def _output(lmp: Path, *arguments: str, folder: Path | None = None) -> str:
    """What an ``lmp`` prints, without the plugins of installed packages.

    Raises
    ------
    _ProbeError
        If it fails, cannot be started or gives no answer.
    """
    from lipsdb.md.process import program_command

    try:
        done = subprocess.run(
            program_command(lmp, arguments), capture_output=True, text=True, errors="replace", cwd=folder,
            timeout=_PROBE_SECONDS, check=True, stdin=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise _ProbeError(_reason(f"{error.stdout}\n{error.stderr}")) from error
    except subprocess.TimeoutExpired as error:
        raise _ProbeError(f"no answer in {_PROBE_SECONDS} s") from error
    except OSError as error:
        raise _ProbeError(str(error)) from error
    return done.stdout


def _reason(output: str) -> str:
    """The line that says why: of a plugin that cannot be loaded (no ERROR to LAMMPS), the ERROR, or the last."""
    from lipsdb.md.process import error_line

    lines = [line.strip() for line in output.splitlines() if line.strip()]
    unloaded = next((line for line in lines if line.startswith("Open of file")), None)
    return unloaded or error_line([output]) or (lines or ["no output"])[-1]


def _refusal(lmp: Path, commands: str, files: Sequence[Path], n_types: int) -> str | None:
    """Why LAMMPS does not compute two atoms with these lines; None if it does."""
    masses = "\n".join(f"mass {number + 1} 1.0" for number in range(n_types))
    script = f"""units metal
atom_style atomic
boundary p p p
region box block 0 20 0 20 0 20
create_box {n_types} box
create_atoms 1 single 5 5 5
create_atoms {n_types} single 8 5 5
{masses}
{commands}
run 0
print "potential taken"
"""
    with tempfile.TemporaryDirectory(prefix="lipsdb-") as name:
        folder = Path(name)
        for file in files:
            (folder / file.name).symlink_to(file.resolve())
        (folder / INI_FILE).write_text(_ini(files[0].name), "utf-8")
        (folder / "probe.in").write_text(script, "utf-8")
        try:
            output = _output(lmp, "-in", "probe.in", "-log", "none", folder=folder)
        except _ProbeError as error:
            return str(error)
    return None if "potential taken" in output else _reason(output)
