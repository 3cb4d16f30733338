"""The command line, one module a noun; the composition root of the project."""
