"""Published and foreign labels in."""
