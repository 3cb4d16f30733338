"""Ids and links of documents in a few bytes each: there may be millions of them."""
