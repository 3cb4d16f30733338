"""Molecular dynamics with LAMMPS: input, run, restart, thermodynamic output, trajectory."""
