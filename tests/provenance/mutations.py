"""Single mutations of a database, each of which an audit must find: the harness.

``python tests/provenance/mutations.py --database mongodb://localhost:27017 --number 1000`` changes one thing after the
other in a COPY of a database, audits, and undoes it; it exits with 1 if anything was missed, or not undone.

Left out is what the audit does not vouch for: the fields of FireWorks' records that `lipsdb.provenance.audit.launches`
names; the list ``campaigns`` of documents that no launch made here, and the notes of campaigns that asked later
(neither is sealed: who asks may change); and the deletion of the last audit, which none after it can miss.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from document_mutations import (
    added_field,
    array_byte,
    artifact_byte,
    artifact_document,
    changed_field,
    deleted_document,
    document_in_another_collection,
    doubled_document,
    external_note,
    link,
    lost_chunk,
    removed_field,
    renamed_document,
)
from launch_mutations import firework, job_output, launch, workflow
from mutation import Chooser, Mutation

from lipsdb.provenance.audit import AuditReport, audit
from lipsdb.store.database import Database, connect

LEVELS = ("links", "content", "launches")
KINDS: list[Callable[[Chooser, Mutation], None]] = [
    changed_field, added_field, removed_field, array_byte, renamed_document, deleted_document, doubled_document,
    document_in_another_collection, link, artifact_byte, lost_chunk, artifact_document, external_note, launch, firework,
    workflow, job_output,
]  # fmt: skip


@dataclass
class Outcome:
    """What became of the mutations."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    not_undone: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)  # errors of the untouched database

    @property
    def passed(self) -> bool:
        return not (self.missed or self.not_undone or self.noticed)


def state_of(database: Database) -> dict[str, str]:
    """A hash of every collection that is not empty, computed by the server."""
    hashes = database.mongo.command("dbHash")["collections"]
    return {name: hash_ for name, hash_ in hashes.items() if hash_ != hashlib.md5().hexdigest()}


def run(database: Database, number: int, seed: int, tell: Callable[[str], None] = lambda line: None) -> Outcome:
    """Mutate, audit, undo, so many times.

    Parameters
    ----------
    database : Database
        Is audited once first, so that what nothing else tells of is known.
    number, seed : int
    tell : callable
        Told of each mutation in one line.
    """
    outcome = Outcome()
    audit(database, levels=LEVELS, store=True)
    outcome.noticed = [f"{one.document}: {one.message}" for one in audit(database, levels=LEVELS).errors]
    before = state_of(database)
    choose = Chooser(database, random.Random(seed))
    kinds = [kind for kind in KINDS if kind is not external_note or choose.ids["externals"]]
    for index in range(number):
        kind = kinds[index % len(kinds)]
        mutation = changed_by(choose, kind, f"{seed} {index}", before)
        what = f"{index} {kind.__name__}: {mutation.what}"
        try:
            report: AuditReport | None = audit(database, levels=LEVELS)
        except Exception as error:
            report, what = None, f"{what}: {type(error).__name__}: {error}"
        outcome.tried[kind.__name__] += 1
        if report is None or not report.errors:
            outcome.missed.append(what)
        mutation.undo()
        if state_of(database) != before:
            outcome.not_undone.append(what)
            before = state_of(database)
        tell(f"{what}: {'MISSED' if report is None or not report.errors else report.errors[0].message}")
    return outcome


def changed_by(
    choose: Chooser, kind: Callable[[Chooser, Mutation], None], seed: str, before: dict[str, str]
) -> Mutation:
    """Make one change that is a change."""
    choose.chance.seed(seed)
    while True:
        mutation = Mutation(choose.database)
        kind(choose, mutation)
        if state_of(choose.database) != before:
            return mutation
        mutation.undo()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="connection string of the server that has the COPY")
    parser.add_argument("--name", default="lipsdb", help="name of the database there")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    os.environ |= {"LIPSDB_MONGO_URI": arguments.database, "LIPSDB_DATABASE": arguments.name}
    outcome = run(connect(), arguments.number, arguments.seed, print if arguments.verbose else lambda line: None)
    missed = Counter(what.split()[1].rstrip(":") for what in outcome.missed)
    for kind, number in outcome.tried.items():
        print(f"{kind.replace('_', ' '):32} {number - missed[kind]:4} of {number} found")
    for title in ("missed", "not_undone", "noticed"):
        for what in getattr(outcome, title):
            print(f"{title.replace('_', ' ').upper()} {what}")
    print(f"{sum(outcome.tried.values()) - len(outcome.missed)} of {sum(outcome.tried.values())} mutations found")
    sys.exit(0 if outcome.passed else 1)


if __name__ == "__main__":
    main()
