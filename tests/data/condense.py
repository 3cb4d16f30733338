"""Makes the archived dumps of this folder from a finished quickstart (and quickstart-dft).

    LIPSDB_HOME=… python tests/data/condense.py OUT.jsonl.gz [--clear-hosts]

A few documents of each kind, as they were computed, but with short arrays, the beginnings of their files, and neither
the host nor the launches; sealed anew in the order in which they were made from each other. ``--clear-hosts``: sealed
as before hosts were salted, without what came later. Dumps are made once and kept: run it for a new schema version.
"""

from __future__ import annotations

import gzip
import sys
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from bson import json_util

from lipsdb.documents.base import now
from lipsdb.provenance.audit import audit
from lipsdb.provenance.canonical import decode_array, is_stored_array
from lipsdb.provenance.kinds import RESULTS
from lipsdb.provenance.sealing import reference, seal
from lipsdb.provenance.withdrawal import withdraw
from lipsdb.settings import read_settings
from lipsdb.store.database import Database, connect
from lipsdb.store.roles import BUCKET

LONGEST = 8  # of an array
BYTES = 300  # of a file
SALT = "0123456789abcdef" * 2
NO_LAUNCH = dict.fromkeys(("fw_id", "launch_id", "job_uuid", "launchpad"))


def chosen(source: Database) -> list[dict[str, Any]]:
    """Documents of a finished quickstart, few of each kind."""
    order = {"answer.conditions.temperature_K": 1, "answer.conditions.seed": 1}
    diffusion = list(source.query("properties", {"asked.property": "diffusion"}, sort=order, limit=2))
    runs = [link["id"] for one in diffusion for link in one["inputs"]]
    found = [*diffusion]
    for name in ("arrhenius", "prediction_errors"):
        found += source.query("properties", {"asked.property": name}, limit=1)
    found += source.query("properties", {"asked.property": "coordination", "inputs.id": runs[0]})
    for name in ("levels_of_theory", "structures", "labels", "datasets", "potentials", "classifiers", "campaigns"):
        found += source.query(name)
    runs += [link["id"] for one in found for link in one["inputs"] if one["kind"] == "label" and link["role"] == "run"]
    return [*found, *source.query("runs", {"_id": {"$in": runs}})]


class Condenser:
    """Copies documents into another database, smaller."""

    def __init__(self, source: Database, target: Database, *, clear_hosts: bool) -> None:
        self.source, self.target, self.clear_hosts = source, target, clear_hosts
        self.new: dict[str, dict[str, str]] = {}  # by the id in the source

    def shortened(self, value: Any, *, cut: bool) -> Any:
        if is_stored_array(value):
            array = decode_array(value)
            return array[:LONGEST] if cut and len(array) > LONGEST else array
        if isinstance(value, dict) and {"sha256", "size", "name"} == set(value):
            return self.target.artifacts.put(self.source.artifacts.read(value["sha256"])[:BYTES], value["name"])
        if isinstance(value, dict):
            return {key: self.shortened(item, cut=cut) for key, item in value.items()}
        if isinstance(value, list):
            return [self.shortened(item, cut=cut) for item in value]
        return self.new[value]["id"] if isinstance(value, str) and value in self.new else value

    def copy(self, document: dict[str, Any]) -> None:
        kind, links, answer = document["kind"], document["inputs"], document["answer"]
        if kind == "dataset":  # four of its labels, which are elsewhere
            links = links[:4]
            systems = [answer["systems"][0] | {"n_training": 3, "n_held": 1}]
            answer = answer | {"held": np.array([True, False, False, False]), "systems": systems}
            answer |= {"n_training": 3, "n_held": 1}
            self.target.note_external(links)
        if kind in {"property", "classifier"}:  # of what an Arrhenius fit stands on, two points were chosen
            links = [link for link in links if link["id"] in self.new]
        links = [{"role": link["role"], **self.new.get(link["id"], link)} for link in links]
        made_by = {**self.shortened(document["made_by"], cut=False), **NO_LAUNCH, "host": "example.org"}
        made_by.pop("salt", None)
        made_by |= {} if self.clear_hosts else {"salt": SALT}
        sealed = seal(
            kind,
            self.shortened(document["asked"], cut=False),
            links,
            self.shortened(answer, cut=kind in {"potential", "run", "classifier", "property"}),
            made_by,
            document["campaigns"],
            document.get("origin"),
        )
        self.target.insert(sealed)
        self.new[document["_id"]] = reference(sealed)

    def refuse(self) -> None:
        """A refusal, of a label that would have been the next repeat."""
        label = next(self.target.query("labels", {"inputs.role": "structure"}))
        asked = {"document": "label-" + "0" * 24, "system": label["origin"]["system"], "source": "cp2k", "folder": ""}
        asked |= {"frame": None, "level_of_theory": label["asked"]["level_of_theory"]}
        answer = {"gate": "scf", "reason": "the SCF did not converge in 200 steps; try another structure"}
        links = [link for link in label["inputs"] if link["role"] == "level_of_theory"]
        self.target.insert(seal("refusal", asked, links, answer, label["made_by"], label["campaigns"]))


def later(target: Database) -> None:
    """What there is since hosts are salted: joins, withdrawals, audits."""
    labels = [label["_id"] for label in target.query("labels", {"campaigns": "quickstart"}, ["_id"], {"_id": 1})]
    target.join_campaigns(labels[:1], ["quickstart-dft"])
    withdraw(target, labels[1:], "the reference cell was too small", "Ann Example")
    withdraw(target, labels[2:], "it was not", "Ann Example", undo=True)
    _make_anonymous(target, "withdrawals")
    audit(target, store=True)
    _make_anonymous(target, "audits")


def _make_anonymous(target: Database, name: str) -> None:
    """Leave out this machine's name and its checkout."""
    for record in target.query(name):
        made_by = {**record["made_by"], "host": "example.org", "commit": None, "salt": SALT}
        parts = (record["kind"], record["asked"], record["inputs"], record["answer"], made_by)
        target.collection(name).replace_one({"_id": record["_id"]}, seal(*parts, record["campaigns"]))


def main(path: str, *, clear_hosts: bool) -> None:
    """Make a dump."""
    source = connect(prepare=False)
    target = connect(read_settings().model_copy(update={"database": f"condensed-{now():%H%M%S}"}))
    condenser = Condenser(source, target, clear_hosts=clear_hosts)
    documents = {document["_id"]: document for document in chosen(source)}
    graph = {id_: [link["id"] for link in one["inputs"] if link["id"] in documents] for id_, one in documents.items()}
    for id_ in TopologicalSorter(graph).static_order():
        condenser.copy(documents[id_])
    condenser.refuse()
    if not clear_hosts:
        later(target)
    names = [*RESULTS.values(), BUCKET, f"{BUCKET}.files", f"{BUCKET}.chunks", "externals"]
    names += [] if clear_hosts else ["joins", "withdrawals", "audits"]
    with gzip.GzipFile(path, "wb", compresslevel=9, mtime=0) as stream:
        for name in names:
            for document in target.mongo[name].find().sort("_id", 1):
                line = json_util.dumps([name, document], json_options=json_util.CANONICAL_JSON_OPTIONS)
                stream.write(line.encode() + b"\n")
    target.client.drop_database(target.mongo.name)


if __name__ == "__main__":
    main(sys.argv[1], clear_hosts="--clear-hosts" in sys.argv)
