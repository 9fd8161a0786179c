"""The checks of this repository find what they should."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from pathlib import Path

import pytest

from tests.support.steps import no_long_step

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("words", ROOT / ".ci" / "words.py")
assert SPEC
assert SPEC.loader
words = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        '"""Mend the thing."""\n',
        "# an entry in hand\n",
        'raise ValueError("x: is no number; fix it")\n',
        'def f(x):\n    return f"{x} was taken over by another"\n',
    ],
)
def test_a_phrase_in_docstring_comment_or_message_is_found(folder: Path, text: str):
    (folder / "a.py").write_text(text)
    assert len(list(words.spoken(folder / "a.py"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "mend = taken_over(letter)\n",
        '"""There is no function of this name."""\n',
        '"""Replay a dead letter; recommend the rest."""\n',
        '"""Which channels are there? What is missing?"""\n',
    ],
)
def test_code_and_right_words_are_left_alone(folder: Path, text: str):
    (folder / "a.py").write_text(text)
    assert list(words.spoken(folder / "a.py")) == []


def test_in_documents_only_prose_counts_and_what_is_released_stays(folder: Path):
    prose = "Mend it.\n\n```sh\nmend\n```\n\nRun `mend`.\n\n## 1.0\n\nMended.\n"
    (folder / "CHANGELOG.md").write_text(prose)
    assert [fault.split(":")[1] for fault in words.spoken(folder / "CHANGELOG.md")] == ["1"]


def test_long_prose_and_long_first_lines_are_found(folder: Path):
    (folder / "a.md").write_text("x" * 171 + "\n| " + "x" * 171 + " |\n")
    (folder / "a.py").write_text(f'"""{"x" * 73}"""\n')
    assert len(list(words.too_long(folder / "a.md"))) == 1
    assert len(list(words.too_long(folder / "a.py"))) == 1


async def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_a_long_step_is_noticed_by_its_name_and_waiting_is_none():
    with pytest.raises(AssertionError, match="busy"), no_long_step(0.05):
        await asyncio.create_task(busy(0.06))
    with no_long_step(0.05):
        await asyncio.sleep(0.06)
        await asyncio.create_task(busy(0.001))
