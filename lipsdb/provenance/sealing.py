"""How a document gets its identity, its content hash and its seal, and how they are checked again.

With ``digest`` from :mod:`lipsdb.provenance.canonical`:

- identity ``_id`` = kind + "-" + the first 24 digits of ``digest({kind, schema_version, asked, inputs})``, where each
  input counts by role, collection and id: what was asked, not what came out. A question that is asked again, because
  its answer was withdrawn, has a field ``attempt`` (1, 2 …), which then is part of the digest.
- ``content`` = ``digest(answer)``: what was answered.
- ``seal`` = ``digest`` of the whole document but for ``campaigns`` and ``seal``, with ``content`` in place of the
  answer. If ``made_by`` has a ``salt``, its host counts as ``"withheld:" + SHA-256(salt + NUL + host)`` and the salt
  does not count: a document can leave its database without the name of its host, and its seal still holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lipsdb.provenance.canonical import (
    Encoded,
    canonical_text,
    digest_of_canonical,
    digest_of_text,
    encode,
)
from lipsdb.provenance.kinds import COLLECTIONS

SCHEMA_VERSION = 1
_ID_DIGITS = 24


def reference(document: Mapping[str, Any]) -> dict[str, str]:
    """Give the small reference to a stored document: collection, id and content hash."""
    return {
        "collection": COLLECTIONS[document["kind"]],
        "id": document["_id"],
        "content": document["content"],
    }


def _encoded(value: Mapping[str, Any] | Encoded) -> Encoded:
    return value if isinstance(value, Encoded) else Encoded.of(value)


def _attempt_text(attempt: int) -> str:
    return f'"attempt":{attempt},' if attempt else ""


def _identity_of_text(kind: str, version: int, asked: str, inputs: Iterable[Mapping[str, Any]], attempt: int) -> str:
    links = [{"role": link["role"], "collection": link["collection"], "id": link["id"]} for link in inputs]
    links_text = canonical_text(links) if links else "[]"
    attempt_text = _attempt_text(attempt)
    text = f'{{"asked":{asked},{attempt_text}"inputs":{links_text},"kind":"{kind}","schema_version":{version}}}'
    return f"{kind}-{digest_of_text(text)[:_ID_DIGITS]}"


def identity(
    kind: str, asked: Mapping[str, Any] | Encoded, inputs: Sequence[Mapping[str, Any]], attempt: int = 0
) -> str:
    """Identity of a document: what was asked.

    Parameters
    ----------
    kind : str
        One of `COLLECTIONS`.
    asked : mapping
        Every parameter that changes the answer.
    inputs : sequence of mappings
        ``role``, ``collection`` and ``id`` of each document that it is made from (more keys are ignored).
    attempt : int
        How often the answer to this question was withdrawn before.

    Returns
    -------
    str
        The ``_id``.

    Examples
    --------
    >>> identity("run", {"temperature_K": 600.0, "seed": 1}, [])
    'run-...'
    """
    return _identity_of_text(kind, SCHEMA_VERSION, _encoded(asked).text, inputs, attempt)


def _without_host(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """The form of ``made_by`` that is sealed."""
    if "salt" not in made_by:
        return dict(made_by)
    known = f"{made_by['salt']}\0{made_by['host']}"
    digest = hashlib.sha256(known.encode()).hexdigest()
    return {key: value for key, value in made_by.items() if key != "salt"} | {"host": f"withheld:{digest}"}


def encoded_made_by(made_by: Mapping[str, Any]) -> Encoded:
    """``made_by`` ready for `seal`, for many documents that were made by the same."""
    return Encoded(encode(made_by)[0], canonical_text(encode(_without_host(made_by))[1]))


def withheld(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document without the name of the host that made it; identity, content and seal still hold.

    Documents that were sealed without a salt stay as they are.
    """
    return {**document, "made_by": _without_host(document["made_by"])}


_NOT_SEALED = frozenset({"answer", "campaigns", "seal"})


def seal(
    kind: str,
    asked: Mapping[str, Any] | Encoded,
    inputs: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any] | Encoded,
    made_by: Mapping[str, Any] | Encoded,
    campaigns: Sequence[str] = (),
    origin: Mapping[str, Any] | Encoded | None = None,
    attempt: int = 0,
) -> dict[str, Any]:
    """Make the complete document that is stored in MongoDB.

    Parameters
    ----------
    kind, asked, inputs
        As for `identity`; each input also has the ``content`` hash it had when used.
    answer : mapping
        The result; arrays allowed anywhere.
    made_by : mapping
        Who and what made it (`lipsdb.documents.base.MadeBy`), or what `encoded_made_by` gave for it.
    campaigns : sequence of str
        Names of the campaigns that asked for it; not sealed, since a document can serve several.
    origin : mapping, optional
        Where a label comes from; sealed, but not part of the content, which is the same wherever it comes from.
    attempt : int
        As for `identity`.

    Returns
    -------
    dict
        With ``_id``, ``content`` and ``seal``; arrays compressed.

    Notes
    -----
    `asked`, `answer` and `made_by` may be `Encoded` already, which is quicker where many documents share parts.
    """
    asked, answer = _encoded(asked), _encoded(answer)
    made_by = made_by if isinstance(made_by, Encoded) else encoded_made_by(made_by)
    origin = None if origin is None else _encoded(origin)
    origin_text = "" if origin is None else f'"origin":{origin.text},'
    links = [dict(link) for link in inputs]
    id_ = _identity_of_text(kind, SCHEMA_VERSION, asked.text, links, attempt)
    content = digest_of_text(answer.text)
    links_text = canonical_text(encode(links)[1]) if links else "[]"
    sealed = (
        f'{{"_id":"{id_}","asked":{asked.text},{_attempt_text(attempt)}"content":"{content}","inputs":{links_text},'
        f'"kind":"{kind}",'
        f'"made_by":{made_by.text},{origin_text}"schema_version":{SCHEMA_VERSION}}}'
    )
    return {
        "_id": id_,
        "kind": kind,
        "schema_version": SCHEMA_VERSION,
        "asked": asked.stored,
        "inputs": links,
        "answer": answer.stored,
        "content": content,
        "made_by": made_by.stored,
        **({} if origin is None else {"origin": origin.stored}),
        **({"attempt": attempt} if attempt else {}),
        "seal": digest_of_text(sealed),
        "campaigns": list(campaigns),
    }


def seal_faults(document: Mapping[str, Any]) -> list[str]:
    """Recompute identity, content and seal of a stored document and name what does not agree.

    Parameters
    ----------
    document : mapping
        As read from MongoDB.

    Returns
    -------
    list of str
        Empty if all agrees.
    """
    missing = {"_id", "kind", "schema_version", "asked", "inputs", "answer", "content", "made_by", "seal"} - set(
        document
    )
    if missing:
        return [f"the field {name!r} is missing" for name in sorted(missing)]
    try:
        sealed = {key: value for key, value in document.items() if key not in _NOT_SEALED}
        canonical = encode(sealed | {"made_by": _without_host(document["made_by"])})[1]
        content = digest_of_canonical(encode(document["answer"])[1])
        asked_text, attempt = canonical_text(canonical["asked"]), document.get("attempt", 0)
        id_ = _identity_of_text(document["kind"], document["schema_version"], asked_text, document["inputs"], attempt)
        faults = []
        if content != document["content"]:
            faults.append("the answer is not the one that was stored (content hash differs)")
        if id_ != document["_id"]:
            faults.append(f"the identity does not follow from what was asked (recomputed {id_})")
        if digest_of_canonical(canonical) != document["seal"]:
            faults.append("a sealed field was changed (seal differs)")
    except Exception as error:  # damage can take any form; each is a finding, none may stop the audit
        return [f"cannot be read: {type(error).__name__}: {error}"]
    return faults
