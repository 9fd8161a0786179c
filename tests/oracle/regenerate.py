"""Make corpus.jsonl again: what Microsoft's engine answers to inputs.json.

Run in this folder: `npm ci && python regenerate.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLOCK = re.compile(
    r"rand\(|newGuid|utcNow|getPastTime|getFutureTime|getNextViable|getPreviousViable"
)


def main() -> None:
    """Write one case a line: {template, data, host, value} or {template, data, host, throws}."""
    inputs = json.loads((HERE / "inputs.json").read_text(encoding="utf-8"))
    cases = [
        {"template": {"v": text}, "data": "scope", "host": {"theme": "dark"}}
        for expression in inputs["expressions"]
        if not CLOCK.search(expression)
        for text in (f"${{{expression}}}", f"<${{{expression}}}>")
    ]
    cases += inputs["templates"]
    lines = [
        json.dumps(
            {**case, "data": inputs["scope"] if case["data"] == "scope" else case["data"]}
        )
        for case in cases
    ]
    done = subprocess.run(
        ["node", "expand.cjs"], cwd=HERE, input="\n".join(lines) + "\n", text=True,
        capture_output=True, check=True, timeout=600,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    with (HERE / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for case, answer in zip(cases, answers, strict=True):
            corpus.write(json.dumps({**case, **answer}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
