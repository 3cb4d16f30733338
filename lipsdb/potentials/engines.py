"""The engines that there are, by name."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from lipsdb.errors import BadInputError
from lipsdb.potentials.engine import Engine

# Name -> module:class; imported only when it is asked for.
ENGINES = {
    "deepmd": "lipsdb.potentials.deepmd.engine:DeepMD",
    "mtp": "lipsdb.potentials.mtp.engine:MTP",
}


@lru_cache
def engine(name: str) -> Engine:
    """The engine of that name.

    Raises
    ------
    BadInputError
        If there is none; names those that there are.

    Examples
    --------
    >>> engine("deepmd").program
    'deepmd-kit'
    """
    if name not in ENGINES:
        raise BadInputError(f"no engine {name!r} of potentials; there are: {', '.join(ENGINES)}")
    module, _, found = ENGINES[name].partition(":")
    made: Engine = getattr(import_module(module), found)()
    return made
