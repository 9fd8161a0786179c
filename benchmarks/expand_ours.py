"""Expand a template many times with notifier's engine; print CPU seconds."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from notifier.templating import Template


def main() -> None:
    """Arguments: case file, count."""
    case = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    prepared = Template(case["template"])
    for _ in range(200):
        prepared.expand(case["data"])
    start = time.process_time()
    for _ in range(int(sys.argv[2])):
        card = prepared.expand(case["data"])
    print(json.dumps({"seconds": time.process_time() - start, "card": card}))


main()
