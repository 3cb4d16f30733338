"""One local worker: ``python -m lipsdb.workflows.worker``; takes ready Fireworks until none will come.

`lipsdb run` starts several of them. They are FireWorks workers like any other; ``rlaunch rapidfire`` does the same.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Take ready Fireworks, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--category", action="append", help="only jobs of this category (repeatable)")
    parser.add_argument("--campaign", help="only jobs of this campaign")
    parser.add_argument("--folder", type=Path, required=True, help="folder for FireWorks' launch folders")
    arguments = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire

    from lipsdb.workflows.answering import PATIENCE_S, worker_database
    from lipsdb.workflows.launchpad import launchpad
    from lipsdb.workflows.recovery import worker_name

    arguments.folder.mkdir(parents=True, exist_ok=True)
    query = {"spec.campaigns": arguments.campaign} if arguments.campaign else {}
    rapidfire(
        launchpad(worker_database(), PATIENCE_S),
        FWorker(name=worker_name(), category=arguments.category or "", query=query),
        m_dir=str(arguments.folder),
        sleep_time=1,
        strm_lvl="ERROR",
    )


if __name__ == "__main__":
    # jobs are decoded by module name: take the module under its own name, not as __main__
    from lipsdb.workflows.worker import main as named_main

    named_main()
