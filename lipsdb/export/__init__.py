"""Training sets, potentials and archives out."""
