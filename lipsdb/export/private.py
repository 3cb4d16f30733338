"""Finding the names of hosts and users, home folders and passwords in what is given away, and taking them out of logs.

A name that could be an ordinary word ("vm", "root", "node") counts only where the text says that it is a host or a user
(``PROGRAM STARTED ON vm``, ``root@``); any other counts wherever it stands as a whole word.
"""

from __future__ import annotations

import contextlib
import getpass
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lipsdb.provenance.kinds import COLLECTIONS
from lipsdb.provenance.links import by_collection
from lipsdb.store.batches import batches

if TYPE_CHECKING:
    from lipsdb.store.database import Database

HOST, USER = "$HOST", "$USER"  # what stands in a log in place of a name
_BLOCK, _OVERLAP = 1 << 20, 512
_LEAST_LENGTH, _LEAST_IN_BINARY = 5, 6  # shorter names are found by chance, in words and in random bytes
# fmt: off
_ORDINARY = frozenset({
    "admin", "administrator", "centos", "cluster", "compute", "debian", "default", "docker", "fedora",
    "guest", "linux", "localhost", "login", "machine", "master", "nobody", "runner", "server", "slurm",
    "student", "tester", "ubuntu", "users", "vagrant", "worker", "workstation",
})
# fmt: on
_NO_ONE = frozenset({"", "localhost", "127.0.0.1", "::1", "unknown"})
_SAYS_WHO = re.compile(
    r"(?:PROGRAM (?:STARTED|RAN) (?:ON|BY) +|"
    r"(?i:\b(?:running on|ran on|run by|started by|executed on|host ?name|host|node ?name|user ?name|user|login)"
    r"[\"']? ?[:=] *[\"']?))$"
)
# CP2K's banner and DeePMD-kit's summary: whoever stands there
_WHO = re.compile(r"(?P<before>PROGRAM (?:STARTED|RAN) (?P<what>ON|BY) +|\bRunning on: +)[\w.@-]+")
_HOME = re.compile(r"(?<![\w.~-])/(?:home|Users)/(?!(?:conda|runner|builder|vsts|travis|circleci)\b)[\w.-]+")
_PASSWORD = re.compile(r"\w://[^\s/:@\"']+:(?!\*+@)[^\s/@\"']+@")
_MARKS = ("PROGRAM ", "Running on", "/home/", "/Users/", "://")


@dataclass(frozen=True)
class PrivateNames:
    """What must not be given away.

    Attributes
    ----------
    hosts, users : frozenset of str
        Names of machines and people's accounts.
    folders : frozenset of str
        Home folders.
    secrets : frozenset of str
        Passwords.

    Examples
    --------
    >>> names = PrivateNames(frozenset({"vm", "lab-node-17"}), frozenset({"anna.k"}), frozenset({"/home/anna.k"}))
    >>> names.found_in("PROGRAM STARTED ON      vm"), names.found_in("the vm of LAMMPS"), names.found_in("[anna.k]")
    ('names a host', None, 'names a user')
    >>> names.without("Running on: lab-node-17, vm stays")
    'Running on: $HOST, vm stays'
    """

    hosts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()

    @cached_property
    def _words(self) -> list[tuple[str, str, re.Pattern[str]]]:
        """Each name, what stands in its place, and where it stands as a whole word; the longest first."""
        named = [(name, HOST) for name in self.hosts] + [(name, USER) for name in self.users]
        return [
            (name, sign, re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"))
            for name, sign in sorted(named, key=lambda pair: (-len(pair[0]), pair))
        ]

    def signed(self, signatures: Iterable[str]) -> PrivateNames:
        """The same without the accounts by whose names people signed: these they gave away themselves.

        Examples
        --------
        >>> PrivateNames(users=frozenset({"anna.k", "ben"})).signed(["Anna K. <anna.k@lab>"]).users
        frozenset({'ben'})
        """
        named = {name for name, _, word in self._words for signature in signatures if word.search(signature)}
        return replace(self, users=self.users - named)

    def found_in(self, text: str) -> str | None:
        """What a text gives away; None if nothing."""
        for name, sign, pattern in self._words:
            if name in text and any(_is_meant(match, name) for match in pattern.finditer(text)):
                return "names a host" if sign == HOST else "names a user"
        if any(secret in text for secret in self.secrets):
            return "holds a password"
        if any(_within(folder, text) for folder in self.folders):
            return "names a home folder"
        if not any(mark in text for mark in _MARKS):
            return None
        for pattern, what in ((_WHO, "names a host or user"), (_HOME, "names a home folder")):
            if pattern.search(text):
                return what
        return "holds a password" if _PASSWORD.search(text) else None

    def found_in_stream(self, stream: IO[bytes]) -> str | None:
        """What a file gives away; read a block at a time. In binary data only names that chance cannot write count."""
        end, binary = b"", None
        while block := stream.read(_BLOCK):
            if binary is None:
                binary = b"\0" in block[:65536]
            found = (
                self._found_in_binary(end + block)
                if binary
                else self.found_in((end + block).decode("utf-8", "replace"))
            )
            if found is not None:
                return found
            end = (end + block)[-_OVERLAP:]
        return None

    def _found_in_binary(self, data: bytes) -> str | None:
        for name, sign, pattern in self._words:
            telling = len(name) >= _LEAST_IN_BINARY and _is_telling(name)
            if telling and name.encode() in data and pattern.search(data.decode("utf-8", "replace")):
                return "names a host" if sign == HOST else "names a user"
        if any(len(secret) >= _LEAST_IN_BINARY and secret.encode() in data for secret in self.secrets):
            return "holds a password"
        return "names a home folder" if any(f"{folder}/".encode() in data for folder in self.folders) else None

    def without(self, text: str) -> str:
        """A log with ``$HOST`` and ``$USER`` in place of names."""

        def replaced(match: re.Match[str]) -> str:
            return match["before"] + (USER if match["what"] == "BY" else HOST)

        text = _WHO.sub(replaced, text)
        for name, sign, pattern in self._words:
            if name in text:
                text = pattern.sub(partial(_sign_if_meant, name, sign), text)
        return text


def _sign_if_meant(name: str, sign: str, match: re.Match[str]) -> str:
    return sign if _is_meant(match, name) else name


def _is_telling(name: str) -> bool:
    """Whether a name says who it is wherever it stands, rather than being a word of the language."""
    return len(name) >= _LEAST_LENGTH and name.lower() not in _ORDINARY


def _is_meant(match: re.Match[str], name: str) -> bool:
    if _is_telling(name):
        return True
    before, after = match.string[max(0, match.start() - 100) : match.start()], match.string[match.end() :][:12]
    if after.startswith("@") or before.endswith("@") or (before.endswith("[") and re.match(r":\d+[\],]", after)):
        return True
    return _SAYS_WHO.search(before) is not None


def _within(folder: str, text: str) -> bool:
    return folder in text and re.search(rf"(?<![\w.~-]){re.escape(folder)}(?![\w-])", text) is not None


def names_of_this_machine(uri: str | None = None) -> PrivateNames:
    """This machine's host and user, the home folder, and what a connection string tells.

    Parameters
    ----------
    uri : str, optional
        Of MongoDB.
    """
    users, home = {Path.home().name}, str(Path.home())
    with contextlib.suppress(KeyError, OSError):  # an account without an entry
        users.add(getpass.getuser())
    hosts, secrets = set(_forms(platform.node())), set()
    if uri is not None:
        parts = urlsplit(uri)
        account, _, servers = parts.netloc.rpartition("@")
        user, _, password = account.partition(":")
        users.add(unquote(user))
        secrets |= {password, unquote(password)}
        hosts.update(form for server in servers.split(",") for form in _forms(re.sub(r":\d+$", "", server)))
    folders = {home} if len(home) > 1 else set()
    return PrivateNames(
        frozenset(hosts - _NO_ONE), frozenset(users - _NO_ONE), frozenset(folders), frozenset(secrets - {""})
    )


def _forms(host: str) -> Iterator[str]:
    yield host
    if not re.fullmatch(r"[\d.:]+", host):
        yield host.partition(".")[0]


def private_names(database: Database, ids: Iterable[str]) -> PrivateNames:
    """Everything that documents must not give away: of this machine, of those that made them, and of the launches.

    Parameters
    ----------
    database : Database
    ids : iterable of str
        The documents.
    """
    here = names_of_this_machine(database.uri)
    found: set[str] = set()
    for name, wanted in by_collection(ids).items():
        for batch in batches(wanted):
            found.update(database.collection(name).distinct("made_by.host", {"_id": {"$in": batch}}))
    launches = database.collection("launches")
    found.update(str(value) for field in ("host", "ip") for value in launches.distinct(field))
    found.update(str(value).partition(":")[0] for value in launches.distinct("fworker.name"))
    hosts = {form for host in found if not host.startswith("withheld:") for form in _forms(host)}
    return PrivateNames(frozenset(here.hosts | hosts - _NO_ONE), here.users, here.folders, here.secrets)


def signatures(database: Database, ids: Iterable[str]) -> list[str]:
    """The names of the people who withdrew something, of those withdrawals that are among these documents."""
    name = COLLECTIONS["withdrawal"]
    wanted = by_collection(ids).get(name, [])
    found = {
        str(by)
        for batch in batches(wanted)
        for by in database.collection(name).distinct("asked.by", {"_id": {"$in": batch}})
    }
    return sorted(found)
