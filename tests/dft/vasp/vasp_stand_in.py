"""A stand-in for VASP at the level of files, run as the command: ``python vasp_stand_in.py [mode]``.

It reads INCAR, KPOINTS, POSCAR and POTCAR of the current folder, computes energy, forces and stress with ASE's
Lennard-Jones pair potential (sigma 2 Å, epsilon 0.1 eV, shifted by -4 eV an atom so that energies are negative), and
writes vasprun.xml, OUTCAR, OSZICAR and CONTCAR in VASP 6's format: a single point, a relaxation by BFGS (positions and,
with ISIF = 3, the cell) or NVE dynamics. ``vasp.runs`` counts how often it was started.

Modes (the first argument, or LIPSDB_TEST_VASP in the environment):

- ``works``
- ``unconverged``: no SCF converges; ``unconverged-last``: that of the last ionic step does not; ``all``: it does with
  ALGO = All only
- ``ionic``: the relaxation does not converge
- ``dies``: kills itself with SIGKILL amid vasprun.xml; ``sleeps``: waits there until it is killed, after writing the
  file ``running``; ``stops``: ends with an error of its own
- ``encut``: used another ENCUT; ``titel``: used another PAW data set; ``electrons``: counts one electron too many
- ``tight``: no SCF converges to an EDIFF below 1e-7 eV
- ``hot``: an electronic entropy of 2 meV/atom; ``moved``: computed other positions
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

POTENTIAL = {"sigma": 2.0, "epsilon": 0.1, "rc": 6.0, "smooth": True}
SHIFT_eV = -4.0
KBAR_PER_EV_A3 = 1602.176634
# Made up: only what pymatgen and the stand-in read.
ZVAL = {"Li_sv": 3.0, "P": 5.0, "S": 6.0}
POTCAR = """  PAW_PBE {symbol} 01Jan2000
 {zval:.8f}
 parameters from PSCTR are:
   VRHFIN ={element}: made up
   LEXCH  = PE
   EATOM  =   100.0000 eV,    7.3500 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   POMASS =    1.000; ZVAL   =    {zval:.3f}    mass and valenz
   ENMAX  =  250.000; ENMIN  =  200.000 eV
END of PSCTR-controll parameters
 local part
 0.1E+00 0.2E+00
End of Dataset
"""
LOGICAL = {"T": "T", "TRUE": "T", "F": "F", "FALSE": "F"}


def write_potcars(folder: Path) -> None:
    """Made-up PAW data sets of Li_sv, P and S, where pymatgen looks for them in the folder of PMG_VASP_PSP_DIR."""
    for symbol, zval in ZVAL.items():
        file = folder / "POT_GGA_PAW_PBE_54" / symbol / "POTCAR"
        file.parent.mkdir(parents=True)
        file.write_text(POTCAR.format(symbol=symbol, element=symbol.split("_")[0], zval=zval))


def read_incar() -> dict[str, str]:
    pairs = [line.split("=", 1) for line in Path("INCAR").read_text().splitlines() if "=" in line]
    return {key.strip(): value.strip() for key, value in pairs}


def read_poscar() -> Atoms:
    lines = Path("POSCAR").read_text().splitlines()
    cell = float(lines[1]) * np.array([line.split() for line in lines[2:5]], float)
    symbols = [symbol for symbol, n in zip(lines[5].split(), lines[6].split(), strict=True) for _ in range(int(n))]
    direct = np.array([line.split()[:3] for line in lines[8 : 8 + len(symbols)]], float)
    assert lines[7].lower().startswith("d")
    return Atoms(symbols, cell=cell, scaled_positions=direct, pbc=True)


def read_potcar() -> list[tuple[str, float]]:
    text = Path("POTCAR").read_text()
    titels = [titel.strip() for titel in re.findall(r"TITEL\s*=(.*)", text)]
    return list(zip(titels, map(float, re.findall(r"ZVAL\s*=\s*([\d.]+)", text)), strict=True))


def compute(atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy (eV), forces (eV/Å) and VASP's stress (kB, positive under compression)."""
    atoms.calc = LennardJones(**POTENTIAL)
    stress = -atoms.get_stress(voigt=False) * KBAR_PER_EV_A3
    return atoms.get_potential_energy() + SHIFT_eV * len(atoms), atoms.get_forces(), stress


def vector(row: np.ndarray, width: int = 16) -> str:
    return "   <v> " + "".join(f"{value:{width}.8f}" for value in row) + " </v>"


def varray(name: str, rows: np.ndarray) -> str:
    return "\n".join([f'  <varray name="{name}" >', *map(vector, rows), "  </varray>"])


def structure(atoms: Atoms, name: str = "") -> str:
    attribute = f' name="{name}"' if name else ""
    scaled = atoms.get_scaled_positions(wrap=True)
    crystal = [f" <structure{attribute}>", "  <crystal>", varray("basis", atoms.cell[:])]
    crystal += [f'   <i name="volume">{atoms.get_volume():16.8f} </i>']
    crystal += [varray("rec_basis", np.linalg.inv(atoms.cell[:]).T), "  </crystal>"]
    return "\n".join([*crystal, varray("positions", scaled), " </structure>"])


def energies(free: float, entropy: float, indent: str) -> list[str]:
    values = {"e_fr_energy": free, "e_wo_entrp": free + entropy, "e_0_energy": free + entropy / 2}
    return [
        f"{indent}<energy>",
        *[f'{indent} <i name="{k}">{v:16.8f} </i>' for k, v in values.items()],
        f"{indent}</energy>",
    ]


def tag(name: str, value: str) -> str:
    upper = value.strip(".").upper()
    if upper in LOGICAL:
        return f'  <i type="logical" name="{name}"> {LOGICAL[upper]}  </i>'
    if re.fullmatch(r"[-+]?\d+", value):
        return f'  <i type="int" name="{name}">{int(value):6d}</i>'
    if re.fullmatch(r"[-+\d.eE]+", value):
        return f'  <i name="{name}">{float(value):16.8f}</i>'
    if re.fullmatch(r"(\d+ )+\d+", value):
        return f'  <v type="int" name="{name}"> {value}</v>'
    return f'  <i type="string" name="{name}">{value}</i>'


def header(incar: dict[str, str], atoms: Atoms, potcars: list[tuple[str, float]], mode: str) -> str:
    mesh = Path("KPOINTS").read_text().splitlines()
    nsw = int(incar.get("NSW", 0))
    symbols = list(dict.fromkeys(atoms.get_chemical_symbols()))
    counts = [atoms.get_chemical_symbols().count(symbol) for symbol in symbols]
    n_electrons = sum(n * zval for n, (_, zval) in zip(counts, potcars, strict=True)) + (mode == "electrons")
    echoed = {**incar, "ENCUT": "400.0"} if mode == "encut" else incar
    if mode == "titel":
        potcars = [("PAW_PBE Xx_h 01Jan2000", zval) for _, zval in potcars]
    parameters = {
        "NSW": nsw,
        "IBRION": int(incar["IBRION"]),
        "NELM": int(incar["NELM"]),
        "ISPIN": 1,
        "ISIF": int(incar["ISIF"]),
    }
    floats = {"EDIFFG": float(incar.get("EDIFFG", 1e-4)), "NELECT": float(n_electrons), "ENMAX": float(echoed["ENCUT"])}
    types = [
        f"    <rc><c>{n:4d}</c><c>{symbol:2s}</c><c>{atom.mass:16.8f}</c><c>{zval:16.8f}</c><c>  {titel:40s}</c></rc>"
        for n, symbol, (titel, zval), atom in zip(
            counts, symbols, potcars, [Atoms(symbol)[0] for symbol in symbols], strict=True
        )
    ]
    atom_rows = [
        f"    <rc><c>{symbol:2s}</c><c>{symbols.index(symbol) + 1:4d}</c></rc>"
        for symbol in atoms.get_chemical_symbols()
    ]
    lines = [
        '<?xml version="1.0" encoding="ISO-8859-1"?>',
        "<modeling>",
        " <generator>",
        '  <i name="program" type="string">vasp </i>',
        '  <i name="version" type="string">6.4.1  </i>',
        '  <i name="subversion" type="string">stand-in </i>',
        '  <i name="platform" type="string">none </i>',
        '  <i name="date" type="string">2024 01 01 </i>',
        '  <i name="time" type="string">00:00:00 </i>',
        " </generator>",
        " <incar>",
        *[tag(name, value) for name, value in echoed.items()],
        " </incar>",
        " <kpoints>",
        f'  <generation param="{mesh[2].strip()}">',
        f'   <v type="int" name="divisions"> {mesh[3]}</v>',
        '   <v name="usershift"> 0.0 0.0 0.0</v>',
        "  </generation>",
        '  <varray name="kpointlist" >',
        "   <v> 0.00000000 0.00000000 0.00000000 </v>",
        "  </varray>",
        '  <varray name="weights" >',
        "   <v> 1.00000000 </v>",
        "  </varray>",
        " </kpoints>",
        " <parameters>",
        *[f'  <i type="int" name="{name}">{value:6d}</i>' for name, value in parameters.items()],
        *[f'  <i name="{name}">{value:16.8f}</i>' for name, value in floats.items()],
        " </parameters>",
        " <atominfo>",
        f"  <atoms> {len(atoms):6d} </atoms>",
        f"  <types> {len(symbols):6d} </types>",
        '  <array name="atoms" >',
        '   <dimension dim="1">ion</dimension>',
        '   <field type="string">element</field>',
        '   <field type="int">atomtype</field>',
        "   <set>",
        *atom_rows,
        "   </set>",
        "  </array>",
        '  <array name="atomtypes" >',
        '   <dimension dim="1">type</dimension>',
        '   <field type="int">atomspertype</field>',
        '   <field type="string">element</field>',
        "   <field>mass</field>",
        "   <field>valence</field>",
        '   <field type="string">pseudopotential</field>',
        "   <set>",
        *types,
        "   </set>",
        "  </array>",
        " </atominfo>",
        structure(atoms, "initialpos"),
    ]
    return "\n".join(lines) + "\n"


class Writer:
    """The files as they grow."""

    def __init__(self, incar: dict[str, str], atoms: Atoms, mode: str) -> None:
        self.incar, self.mode, self.step = incar, mode, 0
        self.n_elm = int(incar["NELM"])
        potcars = read_potcar()
        self.xml = Path("vasprun.xml").open("w")  # noqa: SIM115
        self.out = Path("OUTCAR").open("w")  # noqa: SIM115
        self.osz = Path("OSZICAR").open("w")  # noqa: SIM115
        self.xml.write(header(incar, atoms, potcars, mode))
        self.out.write(" vasp.6.4.1 stand-in complex\n")
        for titel, zval in potcars:
            self.out.write(f"   TITEL  = {titel}\n   POMASS =   1.000; ZVAL   =  {zval:7.3f}    mass and valenz\n")

    def calculation(
        self, atoms: Atoms, last: bool, velocities: np.ndarray | None = None
    ) -> tuple[float, np.ndarray, np.ndarray]:
        energy, forces, stress = compute(atoms)
        free = energy
        entropy = (0.002 if self.mode == "hot" else 1e-5) * len(atoms)
        fails = self.mode == "unconverged" or (self.mode == "unconverged-last" and last)
        fails = fails or (self.mode == "tight" and float(self.incar["EDIFF"]) < 1e-7)
        fails = fails or (self.mode == "all" and self.incar.get("ALGO") != "All")
        n_scf = self.n_elm if fails else 3
        self.step += 1
        lines = [" <calculation>"]
        self.osz.write("       N       E                     dE             d eps       ncg     rms          rms(c)\n")
        for i in range(n_scf):
            now = free + 0.1 * 10.0 ** -(i + 1) * (i < n_scf - 1)
            lines += ["  <scstep>", *energies(now, entropy, "   "), "  </scstep>"]
            self.osz.write(f"DAV: {i + 1:3d}    {now:18.12E}    0.10000E+00   -0.10000E+00   100   0.100E+00\n")
            self.out.write(f"--------------- Iteration {self.step:6d}({i + 1:4d})  ---------------\n")
        reached = "EDIFF was not reached (unconverged)" if fails else "because EDIFF is reached"
        self.out.write(f"------------------------ aborting loop {reached} ------------------------\n")
        xx, yy, zz = np.diag(stress)
        self.out.write(
            f"  in kB {xx:11.5f} {yy:11.5f} {zz:11.5f} {stress[0, 1]:11.5f} {stress[1, 2]:11.5f} {stress[2, 0]:11.5f}\n"
        )
        self.out.write(f"  free  energy   TOTEN  =  {free:18.8f} eV\n\n")
        self.out.write(
            f"  energy  without entropy={free + entropy:18.8f}  energy(sigma->0) ={free + entropy / 2:18.8f}\n"
        )
        # the last block repeats the free energy for all three, as VASP 5.4 and 6 misprint it
        lines += [structure(atoms), varray("forces", forces), varray("stress", stress), *energies(free, 0.0, "  ")]
        if velocities is not None:
            flow = np.einsum("i,ij,ik->jk", atoms.get_masses(), velocities, velocities)  # eV
            kinetic = np.trace(flow) / 2
            nose = {"kinetic": kinetic, "lattice kinetic": 0, "nosepot": 0, "nosekinetic": 0, "total": free + kinetic}
            lines[-1:-1] = [f'   <i name="{name}">{value:16.8f} </i>' for name, value in nose.items()]
            all_ = stress + flow / atoms.get_volume() * KBAR_PER_EV_A3
            parts = (*np.diag(all_), all_[0, 1], all_[1, 2], all_[2, 0])
            self.out.write("  Total+kin. " + "".join(f"{part:12.3f}" for part in parts)[3:] + "\n")
        self.xml.write("\n".join([*lines, " </calculation>"]) + "\n")
        self.xml.flush()
        self.osz.write(f"{self.step:4d} F= {free:.8E} E0= {free + entropy / 2:.8E}  d E ={0.0:.6E}\n")
        self.osz.flush()
        return energy, forces, stress

    def close(self, atoms: Atoms) -> None:
        self.xml.write(structure(atoms, "finalpos") + "\n</modeling>\n")
        for file in (self.xml, self.out, self.osz):
            file.close()
        symbols = list(dict.fromkeys(atoms.get_chemical_symbols()))
        counts = [str(atoms.get_chemical_symbols().count(symbol)) for symbol in symbols]
        rows = ["stand-in", "1.0", *[" ".join(f"{x:.16f}" for x in row) for row in atoms.cell[:]]]
        rows += [" ".join(symbols), " ".join(counts), "Direct"]
        rows += [" ".join(f"{x:.16f}" for x in row) for row in atoms.get_scaled_positions()]
        Path("CONTCAR").write_text("\n".join(rows) + "\n")


def relax(incar: dict[str, str], atoms: Atoms, writer: Writer, steps: int) -> None:
    allowed, cell_too = -float(incar["EDIFFG"]), int(incar["ISIF"]) == 3
    atoms.calc = LennardJones(**POTENTIAL)
    optimiser = BFGS(FrechetCellFilter(atoms) if cell_too else atoms, logfile=None, maxstep=0.1)
    for step in range(steps):
        _, forces, stress = writer.calculation(atoms, step == steps - 1)
        small = np.linalg.norm(forces, axis=1).max() < allowed and (
            not cell_too or np.abs(stress).max() / KBAR_PER_EV_A3 * atoms.get_volume() < allowed * len(atoms)
        )
        if small and writer.mode != "ionic":
            return
        optimiser.step()


def dynamics(incar: dict[str, str], atoms: Atoms, writer: Writer, steps: int) -> None:
    rng = np.random.default_rng(int(incar["RANDOM_SEED"].split()[0]))
    time_step = float(incar["POTIM"]) * units.fs
    masses = atoms.get_masses()[:, None]
    velocities = rng.normal(size=(len(atoms), 3)) * np.sqrt(units.kB * float(incar["TEBEG"]) / masses)
    velocities -= (masses * velocities).sum(0) / masses.sum()
    _, forces, _ = writer.calculation(atoms, steps == 1, velocities)
    for step in range(1, steps):
        velocities += 0.5 * time_step * forces / masses
        atoms.positions += time_step * velocities
        velocities += 0.5 * time_step * compute(atoms)[1] / masses
        _, forces, _ = writer.calculation(atoms, step == steps - 1, velocities)


def main() -> None:
    mode = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LIPSDB_TEST_VASP", "works")
    runs = Path("vasp.runs")
    runs.write_text(str(int(runs.read_text()) + 1 if runs.exists() else 1))
    print(" running    1 mpi-ranks, on    1 nodes")
    if mode == "stops":
        print(" |     ERROR: this stand-in was told to stop                           |")
        sys.exit(1)
    incar, atoms = read_incar(), read_poscar()
    if mode == "moved":
        atoms.positions[0, 0] += 0.01
    writer = Writer(incar, atoms, mode)
    steps, ionic = int(incar.get("NSW", 0)), int(incar["IBRION"])
    if mode in ("dies", "sleeps"):
        writer.calculation(atoms, True)
        Path("running").touch()
        if mode == "sleeps":
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)
    if steps == 0:
        writer.calculation(atoms, True)
    elif ionic == 0:
        dynamics(incar, atoms, writer, steps)
    else:
        relax(incar, atoms, writer, steps)
    writer.close(atoms)


if __name__ == "__main__":
    main()
