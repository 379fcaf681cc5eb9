"""One process that carries out all commands, one after the other; prints their exit codes as JSON.

python -m tests.security.commands FOLDER BASE_URL BATCH_URL
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from glan_dspy.cli.main import run
from tests.optimize.workshop import School, carried_out, few, order


def main(folder: str, base_url: str, batch_url: str) -> dict[str, int]:
    ask, batch = (["--base-url", url, "--model-name", "sim"] for url in (base_url, batch_url))
    made, many, imported, batched = (f"{folder}/{name}" for name in ("run", "many", "imported", "batched"))
    make = ["--language", "English", "--num-iterations", "1", "--discipline", "Optics"]
    questions = Path(folder) / "questions.jsonl"
    questions.write_text('{"question": "Why?", "subject": "Optics", "level": 100}\n', encoding="utf-8")
    benchmark = Path(folder) / "benchmark.jsonl"
    benchmark.write_text('{"question": "How far does light come in one second of time?"}\n', encoding="utf-8")
    commands = {
        "doctor": ["doctor", *ask],
        "generate": ["generate", *ask, *make, "--against", str(benchmark), "-o", made],
        "generate with workers": ["generate", *ask, *make, "--discipline", "Law", "--workers", "2", "-o", many],
        "generate again": ["generate", *ask, "-o", made],
        "generate in batches": ["generate", *batch, *make, "--batch", "-o", batched],
        "answer": ["answer", "--questions-filepath", str(questions), *ask, "--language", "English", "-o", imported],
        "taxonomy": ["taxonomy", *ask, "-o", f"{folder}/taxonomy"],
        "plan": ["plan", "--recipe", "large", "--model-name", "gpt-4o-mini"],
        "judge": ["judge", made, "--sample", "6", "--model-name-for-judge", "sim"],
        "plan from a run": ["plan", "--from", made, "--model-name", "gpt-4o-mini"],
        "curate": ["curate", made],
        "repair": ["repair", made, "--where", "reason == 'language'", *ask],
        "status": ["status", made],
        "status as JSON": ["status", made, "--json"],
        "show": ["show", made, "--json", "-n", "5"],
        "show the rejected": ["show", made, "--rejected"],
        "report": ["report", made, "-o", f"{folder}/report.html"],
        "export": ["export", made, "--to", f"{folder}/train.jsonl"],
        "export a folder": ["export", made, "--to", f"{folder}/dataset", "--split", "train=0.9,val=0.1"],
        "export for Azure": ["export", made, "--format", "azure", "--to", f"{folder}/azure"],
        "push without a token": ["push", made, "--repo", "anna/pairs"],
    }
    return {name: run(words) for name, words in commands.items()}


if __name__ == "__main__":
    from glan_dspy.engines import batch_desk

    batch_desk.PACE = batch_desk.Pace(settle=0.15, first_look=0.05, longest_look=0.1)
    codes = main(*sys.argv[1:])
    for _ in range(2):  # the second time it goes the same way from its journal
        carried_out(order(Path(sys.argv[1]) / "vi.json", "gepa", 90), School(), few(8))
    print(json.dumps(codes))
