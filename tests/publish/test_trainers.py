"""What is exported loads where it is meant to be loaded. Offline: files on this machine only."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.publish.formats import Wording
from glan_dspy.run.store import Run
from tests.publish.made import make_run, pair, put, read

PAIRS = [pair(number, reasoning="Hm." if number % 2 else "") for number in range(30)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"), PAIRS)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`datasets.load_dataset`, with a cache of this test and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets
    datasets.disable_progress_bars()
    return lambda *words, **more: datasets.load_dataset(*words, cache_dir=str(tmp_path / "cache"), **more)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize("form", ["messages", "sharegpt", "alpaca", "prompt-completion"])
def test_datasets_loads_every_format(run: Run, tmp_path: Path, load: Any, form: str, ending: str) -> None:
    to = tmp_path / f"out{ending}"
    put(run, to, form=form, wording=Wording("Be brief.", "keep"))
    kind = "json" if ending == ".jsonl" else "parquet"
    loaded = load(kind, data_files=str(to), split="train")
    assert loaded.num_rows == 30
    first, row = read(to)[0], loaded[0]
    assert {name: value for name, value in row.items() if isinstance(value, str)} == {
        name: value for name, value in first.items() if isinstance(value, str)
    }
    if form == "messages":
        assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
        assert row["messages"][-1]["content"] == PAIRS[0].answer


def test_datasets_loads_a_folder_with_its_splits_as_the_card_names_them(run: Run, tmp_path: Path, load: Any) -> None:
    done = put(run, tmp_path / "set", split="train=0.6,tuning=0.4", shard_size=7)
    loaded = load(str(tmp_path / "set"))
    assert {part: loaded[part].num_rows for part in loaded} == dict(done.contents.parts)
    assert set(loaded) == {"train", "tuning"} and len(done.files) > 3


def test_the_columns_are_those_that_llama_factory_reads(run: Run, tmp_path: Path) -> None:
    """LLaMA-Factory's `data/README.md`: alpaca has instruction, input, output and system; sharegpt has conversations of
    `from` (human, gpt, system) and `value`, human at odd places, gpt at even ones; the "OpenAI format" has messages."""
    wording = Wording("Be brief.")
    for form in ("alpaca", "sharegpt", "messages"):
        put(run, tmp_path / f"{form}.jsonl", form=form, wording=wording)
    (alpaca, *_), (sharegpt, *_), (openai, *_) = (
        read(tmp_path / f"{form}.jsonl") for form in ("alpaca", "sharegpt", "messages")
    )
    assert set(alpaca) - {"id"} == {"instruction", "input", "output", "system"}
    system, *turns = sharegpt["conversations"]
    assert system["from"] == "system" and [turn["from"] for turn in turns] == ["human", "gpt"]
    assert all(set(turn) == {"from", "value"} for turn in turns)
    assert [turn["role"] for turn in openai["messages"]] == ["system", "user", "assistant"]


def test_the_columns_are_those_that_axolotl_reads(run: Run, tmp_path: Path) -> None:
    """Axolotl's `docs/dataset-formats/inst_tune.qmd`: alpaca has instruction, input and output, `alpaca_w_system.load`
    a system field too; `conversation.qmd`: chat_template reads messages of role and content, and other names such as
    conversations of from and value by `field_messages` and `message_property_mappings`."""
    put(run, tmp_path / "a.jsonl", form="alpaca")
    assert {"instruction", "input", "output"} <= read(tmp_path / "a.jsonl")[0].keys()
    put(run, tmp_path / "m.jsonl")
    assert all(set(turn) == {"role", "content"} for turn in read(tmp_path / "m.jsonl")[0]["messages"])


TRL = """
import sys
from datasets import load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

bytes_ = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(["<e>", *sorted(pre_tokenizers.ByteLevel.alphabet())])},
                              merges=[]))
bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
bytes_.decoder = decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_, eos_token="<e>", pad_token="<e>")
tokenizer.chat_template = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}A: {% generation %}"
    "{{ m['content'] }}<e>{% endgeneration %}"
    "{% else %}{{ m['role'] }}: {{ m['content'] }}|{% endif %}{% endfor %}"
)
model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=512, n_embd=8, n_layer=1, n_head=1))
out, parquet, assistant_only = sys.argv[1], sys.argv[2], sys.argv[3] == "messages"
config = SFTConfig(output_dir=out, report_to=[], use_cpu=True, assistant_only_loss=assistant_only)
trainer = SFTTrainer(model, args=config, processing_class=tokenizer,
                     train_dataset=load_dataset("parquet", data_files=parquet, split="train", cache_dir=out))
for row in trainer.train_dataset:
    learnt = [label for label in row["labels"] if label != -100]
    print(repr(tokenizer.decode(row["input_ids"])), repr(tokenizer.decode(learnt)), sep="\\t")
"""


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="needs `trl`, which brings gigabytes")
@pytest.mark.parametrize("form", ["messages", "prompt-completion"])
def test_trl_takes_loss_on_the_answer_alone(run: Run, tmp_path: Path, form: str) -> None:
    put(run, tmp_path / "out.parquet", form=form)
    words = [sys.executable, "-c", TRL, str(tmp_path / "trl"), str(tmp_path / "out.parquet"), form]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    assert len(rows) == 30
    for one, (text, learnt) in zip(PAIRS, rows, strict=True):
        assert one.question in text and learnt == repr(f"{one.answer}<e>")
