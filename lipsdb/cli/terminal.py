"""Where commands write: results to standard output, messages to standard error."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON as it is, for programs."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def next_step(text: str) -> None:
    """Tell what is usually done next."""
    err.print(f"[dim]next:[/dim] {text}")
