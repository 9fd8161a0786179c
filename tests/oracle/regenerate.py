"""Ask Microsoft's engine for the answers of corpus.jsonl again.

Run in this folder: `npm ci && python regenerate.py`. To add a case, append a line {template, data, host} and run it.
The data "scope" are those of scope.json. Half of the expressions come from botbuilder-js,
libraries/adaptive-expressions/tests (MIT).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write one case a line: {template, data, host, value or throws}."""
    corpus = HERE / "corpus.jsonl"
    scope = json.loads((HERE / "scope.json").read_text(encoding="utf-8"))
    cases = [
        json.loads(line) for line in corpus.read_text(encoding="utf-8").split("\n") if line
    ]
    lines = [
        json.dumps({**case, "data": scope if case["data"] == "scope" else case["data"]})
        for case in cases
    ]
    done = subprocess.run(
        ["node", "expand.cjs"], cwd=HERE, input="\n".join(lines) + "\n", text=True,
        capture_output=True, check=True, timeout=600,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    with corpus.open("w", encoding="utf-8") as file:
        for case, answer in zip(cases, answers, strict=True):
            asked = {key: case[key] for key in ("template", "data", "host") if key in case}
            file.write(json.dumps({**asked, **answer}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
