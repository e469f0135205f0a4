"""``make demo``: the main job on real text, each step as the command that a person would type."""

import shlex
import sys
from pathlib import Path

from seqloom.app.main import main
from seqloom.errors import ConfigError

EXAMPLES = ("乒乓球拍卖了", "李国庆节日在加班", "我是中国人")


def run(out: Path) -> int:
    """Trains (or takes up again) the demonstration recipe, segments the examples, and says how to go on."""
    # Reached again after an interruption, the run continues; a finished one is only shown.
    again = ["--resume"] if (out / "config.yaml").exists() else []
    status = _call(["train", "segment-demo", "--out", str(out), *again])
    if status:
        return status
    examples = out / "examples.txt"
    examples.write_text("".join(f"{text}\n" for text in EXAMPLES), encoding="utf-8")
    status = _call(["predict", str(out / "model"), str(examples), "--nbest", "3"])
    print(
        f"\nThe report: {out / 'report.html'}\n"
        "On your own text, a sentence or a document per line, compressed or not:\n"
        f"  .venv/bin/seqloom predict {out / 'model'} YOUR.txt > words.txt\n"
        f"  echo 我是中国人 | .venv/bin/seqloom predict {out / 'model'} - --format json\n"
        "Trained on your own segmented text:\n"
        "  .venv/bin/seqloom train segment --data.train YOURS.txt --out runs/yours"
    )
    return status


def _call(arguments: list[str]) -> int:
    print(f"\n$ seqloom {shlex.join(arguments)}", flush=True)
    return main(arguments)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--out":
        raise ConfigError("usage: python -m seqloom.app.demo --out RUN")
    sys.exit(run(Path(sys.argv[2])))
