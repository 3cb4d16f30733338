"""lipsdb: campaigns for machine-learned potentials and ion transport, every number traceable in MongoDB."""

__version__ = "0.1.0"
