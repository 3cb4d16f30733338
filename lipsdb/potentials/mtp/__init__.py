"""Moment tensor potentials: basis, files, energies and forces, training and the extrapolation grade."""
