"""Figures: plain documents in, plotly figures out. One module a figure; none of them reads the database.

Documents are those of MongoDB with their arrays decoded (`lipsdb.provenance.canonical.decoded`).
"""
