"""The campaign file: its schema, and its reading with positions and errors. No database, no workflow."""
