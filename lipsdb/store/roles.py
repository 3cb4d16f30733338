"""Roles for a server with users: what a worker, a manager and a reader may do, collection by collection.

Documents and artifacts are written once. The roles make the server enforce it: nobody but an administrator of the
database can update or delete what is sealed, nor change the validators and indexes of those collections.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lipsdb.errors import ServerError
from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.label_origins import LABEL_ORIGINS
from lipsdb.store.artifacts import BUCKET, UNAUTHORIZED
from lipsdb.store.database import EXTERNALS, WITHHELD
from lipsdb.store.joins import JOINS

if TYPE_CHECKING:
    from lipsdb.store.database import Database

SEALED = (*COLLECTIONS.values(), BUCKET, f"{BUCKET}.files", f"{BUCKET}.chunks")
APPENDED = (JOINS, WITHHELD)  # notes that are only ever added
CHANGING = (  # FireWorks', jobflow's, and ours that tell of the moment
    *("fireworks", "launches", "workflows", "fw_id_assigner", "offline_runs", "fw_gridfs.files", "fw_gridfs.chunks"),
    *("job_outputs", "progress", EXTERNALS, LABEL_ORIGINS),
)

READER, WORKER, MANAGER = "lipsdbReader", "lipsdbWorker", "lipsdbManager"
_READ = ("find", "listCollections", "listIndexes", "collStats", "dbStats")
_CHANGE = ("insert", "update", "remove")
_SET_UP = ("createCollection", "dropCollection", "createIndex", "dropIndex", "collMod")

Privilege = dict[str, Any]


def _on(database: str, collections: Iterable[str], actions: Iterable[str]) -> list[Privilege]:
    return [{"resource": {"db": database, "collection": name}, "actions": sorted(actions)} for name in collections]


def roles(database: str) -> dict[str, list[Privilege]]:
    """The privileges of each role on one database.

    Parameters
    ----------
    database : str
        Its name; the roles belong to it.

    Returns
    -------
    dict
        ``lipsdbReader`` finds; ``lipsdbWorker`` also inserts documents and artifacts, and works with the launchpad;
        ``lipsdbManager`` also sets up the launchpad and what else changes.

    Examples
    --------
    >>> actions = {one["resource"]["collection"]: one["actions"] for one in roles("lipsdb")["lipsdbWorker"]}
    >>> actions["labels"], actions["launches"], actions["joins"]
    (['insert'], ['insert', 'remove', 'update'], ['insert'])
    """
    read = _on(database, [""], _READ)  # the empty name stands for all collections
    add = _on(database, [*SEALED, *APPENDED], ["insert"])
    return {
        READER: read,
        WORKER: [*read, *add, *_on(database, CHANGING, _CHANGE)],
        MANAGER: [*read, *add, *_on(database, CHANGING, [*_CHANGE, *_SET_UP])],
    }


def script(database: str) -> str:
    """The roles as a script for mongosh, which may be run again to bring them up to date."""
    lines = []
    for role, privileges in roles(database).items():
        lines += [f"    {json.dumps(role)}: [", *(f"      {json.dumps(one)}," for one in privileges), "    ],"]
    definitions = "\n".join(lines)
    user = f'user: "worker1", pwd: passwordPrompt(), roles: [{{ role: "{WORKER}", db: "{database}" }}]'
    return f"""\
// Roles of lipsdb in the database {database!r}, as `lipsdb db roles` prints them. Run it as an administrator:
//   mongosh "mongodb://ADMINISTRATOR@HOST:27017/?authSource=admin" roles.js
// and again after each update of lipsdb. Then make users there, such as
//   db.getSiblingDB("admin").createUser({{ {user} }});
{{
  const target = db.getSiblingDB({json.dumps(database)});
  const roles = {{
{definitions}
  }};
  for (const [role, privileges] of Object.entries(roles)) {{
    if (target.getRole(role) === null) target.createRole({{ role, privileges, roles: [] }});
    else target.updateRole(role, {{ privileges, roles: [] }});
  }}
}}
"""


def create_roles(database: Database) -> dict[str, bool]:
    """Create the roles on the server, or bring them up to date.

    Returns
    -------
    dict
        For each role, whether it is new.

    Raises
    ------
    ServerError
        If the connection has no right to that.
    """
    from pymongo.errors import OperationFailure

    new = {}
    try:
        for role, privileges in roles(database.mongo.name).items():
            new[role] = not database.mongo.command("rolesInfo", role)["roles"]
            database.mongo.command("createRole" if new[role] else "updateRole", role, privileges=privileges, roles=[])
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        raise ServerError(
            f"this user may not create roles in {database.mongo.name!r}; connect as an administrator of users "
            "(userAdmin or root), or give the script of `lipsdb db roles` to one"
        ) from error
    return new
