"""Connection, collections, artifacts and the embedded MongoDB server."""
