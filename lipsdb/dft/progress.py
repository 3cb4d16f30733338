"""Telling how far a DFT program is while it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

_INTERVAL_S = 2.0


@contextlib.contextmanager
def reporting(
    progress: Callable[[float, float], None] | None, total: float, done: Callable[[], float | None]
) -> Iterator[None]:
    """Call `progress` every two seconds while the body runs.

    Parameters
    ----------
    progress : callable or None
        Gets what is done and the total; nothing happens without one.
    total : float
    done : callable
        How much is done, read off the program's files; None or an `OSError` if they do not tell yet.
    """
    if progress is None:
        yield
        return
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_INTERVAL_S):
            with contextlib.suppress(OSError):
                steps = done()
                if steps is not None:
                    progress(steps, total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
