"""Machine-learned potentials, one module an engine."""
