"""Publishing at size: time and memory of `glan export` and `glan report`, on a run of made-up records.

    uv run python -m benchmarks.publish --pairs 100000
    uv run python -m benchmarks.publish --pairs 1000000 --folder /tmp
    uv run python -m benchmarks.publish --pairs 1000000 --folder /tmp --keep     # leaves the run for a second look

120 disciplines in 8 fields, each with 15 subjects of 30 sessions. A question has about 1 KB and an answer 1.5 KB, put
together from 20,000 sentences. Of 100 questions 8 fall, for all the reasons that there are. Every question and answer
has its line in calls.jsonl, and 1 call in 100 a failed attempt before it. The commands run in processes of their own,
one after the other; the files they read were just written, so most of them are still in memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson

from glan_dspy.records import Discipline, digest, subject_id, syllabus_id
from glan_dspy.run.store import VERSION, Run
from glan_dspy.settings import Settings

FIELDS, DISCIPLINES, SUBJECTS, SESSIONS, CONCEPTS = 8, 120, 15, 30, 5
MODEL = "made-up"
REASONS = (
    ("question", "near_duplicate"),
    ("question", "duplicate"),
    ("question", "language"),
    ("question", "leak"),
    ("answer", "truncated"),
    ("answer", "refusal"),
    ("answer", "abstained"),
    ("answer", "cut"),
)
BEGUN = 1_750_000_000
Line = dict[str, Any]


class Subject(NamedTuple):
    line: Line
    syllabus: Line


class Maker:
    """Writes one discipline's files; the same ones each time."""

    def __init__(self, number: int) -> None:
        self.number, self.rng = number, Random(number)
        shared = Random(0)
        words = ["".join(shared.choices("aeioubcdfglmnprst", k=shared.randint(2, 10))) for _ in range(8_000)]
        self.sentences = [" ".join(shared.choices(words, k=12)).capitalize() + "." for _ in range(20_000)]
        self.words, self.calls = words, 0
        self.discipline = discipline(number)
        self.subjects = [self._subject(index) for index in range(SUBJECTS)]

    def write(self, folder: Path, pairs: int) -> None:
        folder.mkdir(parents=True)
        for name, some in (
            ("subjects", [one.line for one in self.subjects]),
            ("syllabi", [one.syllabus for one in self.subjects]),
        ):
            (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in some))
        names = ("questions", "instructions", "rejected", "calls")
        files = {name: (folder / f"{name}.jsonl").open("wb", buffering=1 << 20) for name in names}
        for name, line in self._lines(pairs):
            files[name].write(orjson.dumps(line) + b"\n")
        for file in files.values():
            file.close()

    def _lines(self, pairs: int) -> Iterator[tuple[str, Line]]:
        yield "calls", self._call("subjects.list", f"{self.discipline.id}.0", 0, 160, 700)
        for one in self.subjects:
            yield "calls", self._call("syllabus.design", one.syllabus["id"], 0, 200, 2_500)
        accepted = number = 0
        while accepted < pairs:
            number += 1
            at = accepted / pairs
            question = self._question(number, at)
            call = self._call("question.write", question["id"], at, 1_900, len(question["question"]) // 4)
            yield "calls", call
            question["question_call"] = call["id"]
            stage, reason = self.rng.choice(REASONS) if self.rng.random() < 0.08 else ("", "")
            if stage == "question":
                yield "rejected", self._rejected(question, stage, reason, question["question"])
                continue
            yield "questions", question
            if self.rng.random() < 0.01:
                failed = self._call("answer.write", question["id"], at, 0, 0)
                kept = {key: failed[key] for key in ("id", "stage", "item", "ask", "attempt", "model", "time")}
                yield "calls", {**kept, "error": "RateLimitError", "status": 429, "seconds": 0.1}
            answer = self._text(18)
            call = self._call("answer.write", question["id"], at, 300, len(answer) // 4)
            yield "calls", call
            if stage == "answer":
                yield "rejected", self._rejected(question, stage, reason, answer)
                continue
            accepted += 1
            pair = {"id": question["id"], "question": question["question"], "answer": answer, **question}
            yield "instructions", {**pair, "answer_model": MODEL, "answer_call": call["id"], "reasoning": ""}

    def _question(self, number: int, at: float) -> Line:
        subject, syllabus = self.rng.choice(self.subjects)
        double = self.rng.random() < 0.5
        sessions = self.rng.sample(syllabus["sessions"], 2 if double else 1)
        concepts = [name for one in sessions for name in self.rng.sample(one["key_concepts"], 2)]
        return {"id": digest("made", self.number, number), "syllabus_id": syllabus["id"], "subject_id": subject["id"],
                "question": self._text(12), "discipline": self.discipline.name, "subject": subject["name"],
                "level": subject["level"], "subtopics": subject["subtopics"], "sessions": [s["name"] for s in sessions],
                "key_concepts": concepts, "strategy": "double" if double else "single", "language": "English",
                "question_model": MODEL, "question_call": "", "simulated": False, "held_out": False}  # fmt: skip

    def _text(self, sentences: int) -> str:
        return " ".join(self.rng.choices(self.sentences, k=sentences))

    def _name(self, count: int) -> str:
        return " ".join(self.rng.choices(self.words, k=count)).capitalize()

    def _call(self, stage: str, item: str, at: float, read: int, written: int) -> Line:
        self.calls += 1
        spent = read * 0.15e-6 + written * 0.6e-6
        return {"id": f"{self.number:04x}{self.calls:012x}", "stage": stage, "item": item, "ask": 0, "attempt": 0,
                "model": MODEL, "time": round(BEGUN + 150_000 * at + self.number / 100, 3), "prompt_tokens": read,
                "cached_tokens": read // 2, "completion_tokens": written, "reasoning_tokens": None,
                "cost_usd": round(spent, 8), "finish_reason": "stop", "seconds": 1.5}  # fmt: skip

    def _rejected(self, question: Line, stage: str, reason: str, raw: str) -> Line:
        return {"id": question["id"], "stage": stage, "reason": reason, "detail": "as planted", "raw": raw,
                "found": {}, "item": question}  # fmt: skip

    def _subject(self, index: int) -> Subject:
        name = f"{self._name(3)} {index}"
        line: Line = {"id": subject_id(self.discipline, name), "discipline": self.discipline.name, "name": name,
                "level": 100 * (1 + index % 9), "subtopics": [self._name(2) for _ in range(5)],
                "place": [index, SUBJECTS]}  # fmt: skip
        sessions = [
            {"name": f"{self._name(4)} {at}", "description": self._name(12), "key_concepts": self._concepts()}
            for at in range(SESSIONS)
        ]
        syllabus = {"id": syllabus_id(line["id"]), "subject_id": line["id"], "introduction": self._name(20)}
        return Subject(line, {**syllabus, "sessions": sessions})

    def _concepts(self) -> list[str]:
        return [self._name(2) for _ in range(CONCEPTS)]


def discipline(number: int) -> Discipline:
    return Discipline(name=f"Discipline {number}", field=f"Field {number % FIELDS}")


def make(run: Run, pairs: int) -> None:
    disciplines = [discipline(number) for number in range(DISCIPLINES)]
    settings = Settings(model_name=MODEL, language="English").model_dump(mode="json")
    listed = [one.model_dump() for one in disciplines]
    run.write_about(
        {
            "version": VERSION,
            "kind": "generate",
            "created": "2025-06-15T15:06:40Z",
            "settings": settings,
            "program_digest": "made-up",
            "versions": {},
            "disciplines": listed,
        }
    )
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        shares = [pairs * (n + 1) // DISCIPLINES - pairs * n // DISCIPLINES for n in range(DISCIPLINES)]
        folders = [run.shelf(one).path for one in disciplines]
        list(workers.map(_make_one, range(DISCIPLINES), folders, shares))


def _make_one(number: int, folder: Path, pairs: int) -> None:
    Maker(number).write(folder, pairs)


def measure(*words: str) -> dict[str, Any]:
    """One command in a process of its own."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", "from glan_dspy.cli import main; main()", *words])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"glan {' '.join(words)} ended with {process.returncode}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the run is made and removed again; 9 KB a pair")
    parser.add_argument("--keep", action="store_true", help="leave the run and the files there")
    parser.add_argument("--run", type=Path, help="measure on this run instead of making one")
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="publish-bench-", dir=told.folder))
    try:
        run = Run(told.run or folder / "run")
        if not told.run:
            started = time.monotonic()
            make(run, told.pairs)
            size = sum(path.stat().st_size for path in run.path.rglob("*.jsonl"))
            print(f"{run.path}: {size / 1e9:.1f} GB, made in {time.monotonic() - started:.0f} s", file=sys.stderr)
        for name, words in {
            "export": ("--to", str(folder / "out.jsonl")),
            "report": ("-o", str(folder / "report.html")),
        }.items():
            print(orjson.dumps({"command": name, **measure(name, str(run.path), *words)}).decode(), flush=True)
        print(orjson.dumps({"report_kb": (folder / "report.html").stat().st_size // 1000}).decode())
    finally:
        if not told.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
