"""Builders of starting structures."""
