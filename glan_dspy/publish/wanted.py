"""What of a run is exported, and how: one export's choices, checked together before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from shlex import quote

from glan_dspy.errors import UserError
from glan_dspy.filtering import compile_filter
from glan_dspy.publish.choice import Choice
from glan_dspy.publish.draft import Place
from glan_dspy.publish.formats import Wording, check_format
from glan_dspy.publish.split import Split, parse_split, whole


@dataclass(frozen=True)
class Wanted:
    """As the flags of `glan export` say it; the defaults are theirs."""

    form: str = "messages"
    wording: Wording = field(default_factory=Wording)
    only: str | None = None
    min_score: float | None = None
    split: str | None = None
    balance: str | None = None
    """`discipline`, the one thing that is balanced, or None."""
    shard_size: int | None = None
    held_out: bool = False
    allow_rehearsal: bool = False

    def choice(self) -> Choice:
        return Choice(compile_filter(self.only, "--only") if self.only else None, self.min_score)

    def parts(self) -> Split:
        return parse_split(self.split) if self.split else whole("test" if self.held_out else "train")

    def flags(self) -> list[str]:
        """Those that differ from the defaults, as they are typed."""
        values = {
            "format": self.form if self.form != "messages" else None,
            "holdout": self.held_out or None,
            "only": self.only,
            "min-score": f"{self.min_score:g}" if self.min_score is not None else None,
            "split": self.split,
            "balance": self.balance,
            "shard-size": self.shard_size,
            "system-prompt": self.wording.system_prompt or None,
            "reasoning": self.wording.reasoning if self.wording.reasoning != "drop" else None,
            "allow-rehearsal": self.allow_rehearsal or None,
        }
        return [
            f"--{name}" if value is True else f"--{name} {quote(str(value))}"
            for name, value in values.items()
            if value is not None
        ]

    def check(self, place: Place) -> None:
        """Raises UserError for choices that cannot be, or not together."""
        check_format(self.form, self.wording)
        self.parts()
        self.choice()
        if self.balance not in (None, "discipline"):
            raise UserError(f"--balance {self.balance!r} is unknown; known: discipline")
        if self.shard_size is not None and self.shard_size < 1:
            raise UserError(f"--shard-size {self.shard_size} is less than one row a file")
        if self.shard_size and (place.ending or self.form == "azure"):
            raise UserError(f"--shard-size needs a folder: --to {place.path} --format {self.form} is one file")
        if self.form == "azure" and not place.ending and self.split:
            raise UserError(
                "--format azure into a folder is one file under the Azure script's name; with --split name a file: "
                f"--to {place.path / 'azure.jsonl'}"
            )
        if self.form == "azure" and place.ending == ".parquet":
            raise UserError(f"--format azure is JSON lines; name a folder or {place.path.with_suffix('.jsonl').name}")
