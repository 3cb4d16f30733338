"""The README of an archive: what it is and how a stranger verifies it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipsdb.provenance.kinds import counted

_TEXT = """\
# The campaign {campaign}

{description}

This file was written by [lipsdb](https://pypi.org/project/lipsdb/) {version}. It is an RO-Crate: a zip file with a
description of its content (`ro-crate-metadata.json`) that needs no program of its own to be read. It holds every number
of the campaign with all that the number was made from: {counts}.

- `documents/`: one file a collection, one document a line, in MongoDB's canonical Extended JSON. A document says what
  was asked (`asked`), from which documents it was made (`inputs`: id and content hash of each), what came out
  (`answer`), and who and what made it (`made_by`).
- `artifacts/`: inputs, logs, trajectories and models, each named by the SHA-256 of its bytes. Their names stand in the
  documents and in `ro-crate-metadata.json`.
- `campaign/`: the campaign file, which asked for all this.
- `tables/`: the campaign's tables as JSON, CSV and Markdown; units stand in the names of the fields. What they say of
  where something was made (here, adopted, elsewhere) is seen from the database that wrote this file.
- `externals.jsonl`: {n_externals} documents that are known by id and content hash only.
- `environment.json`: versions of programs and libraries. `prov.json`: W3C PROV of the documents.
- `archive.json`: what is here, and what was withheld.
- `manifest-sha256.txt`: SHA-256 of every other file. The SHA-256 of the manifest itself is the *fingerprint*: whoever
  knows it from elsewhere (a paper, a repository's page) can tell this archive from any other.

{privacy}

## How to verify it

    unzip FILE -d archive && cd archive && sha256sum -c manifest-sha256.txt    # the files are those that were written
    lipsdb verify FILE                  # every document, link, seal and artifact, and the numbers of the tables
    lipsdb import archive FILE          # into an empty database: the same ids and the same tables

The rules of hashing, complete enough to write a verifier of one's own: a value is written as JSON with sorted keys,
without white space, as UTF-8, floats in their shortest round-trip form; an array as
`{{"$array": {{"dtype", "shape", "sha256"}}}}` with the SHA-256 of its little-endian bytes (in the documents it stands
compressed, `zstd`); a date as `{{"$date": "2026-01-31T12:00:00.000Z"}}`. A digest is the SHA-256 of that text.
`content` is the digest of the answer. `_id` is the kind and 24 digits of the digest of `asked`, `inputs` (role,
collection, id), `kind` and `schema_version` (and `attempt`, where there is one). `seal` is the digest of the document
without answer, campaigns and seal; in it, `made_by.host` is `"withheld:"` and the SHA-256 of salt, NUL and host, and
the salt does not count.
"""
_WITHHELD = (
    "Names of hosts and users were withheld: in the documents a salted digest stands in place of the host. {files}"
)
_INCLUDED = "Names of hosts and users were included on request."


def readme(about: Mapping[str, Any], campaign: Mapping[str, Any], version: str) -> str:
    """Write it.

    Parameters
    ----------
    about : mapping
        The content of ``archive.json``.
    campaign : mapping
        The document of the campaign.
    version : str
        Of lipsdb.
    """
    counts = ", ".join(counted(number, name) for name, number in about["documents"].items())
    left_out = [f"`{file['name']}` ({file['sha256'][:12]}…, {file['reason']})" for file in about["withheld"]]
    files = f"Left out, known by hash only: {', '.join(left_out)}." if left_out else "No file was left out."
    return _TEXT.format(
        campaign=about["campaign"],
        description=campaign["asked"]["specification"].get("description") or "",
        version=version,
        counts=f"{counts}, {about['artifacts']} artifacts",
        n_externals=about["externals"],
        privacy=_INCLUDED if about["hosts"] == "included" else _WITHHELD.format(files=files),
    )
