"""A tagger of names from Python: trained on a few sentences, and used."""

from pathlib import Path

import seqloom
from seqloom.app.main import main

PEOPLE, PLACES = ["Ann", "Bob", "Carla", "Dmitri"], ["Rome", "Oslo", "Lima", "Cairo"]
SENTENCES = "{} flew from {} to {} .", "In {1} we met {0} .", "{} likes {} and {} ."

lines: list[str] = []
for number in range(96):
    names = [PEOPLE[number % 4], PLACES[number // 4 % 4], PLACES[(number + 1) % 4]]
    for word in SENTENCES[number % 3].format(*names).split():
        kind = "B-PER" if word in PEOPLE else "B-LOC" if word in PLACES else "O"
        lines.append(f"{word}\t{kind}")  # one word and its tag on a line,
    lines.append("")  # and an empty line after each sentence
Path("train.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")

# Every key of the recipe can be given here; the others keep the recipe's values.
settings = "--training.epochs 5 --training.batch_size 4 --training.learning_rate 0.01 --model.hidden_size 32"
status = main(["train", "ner", "--data.train", "train.conll", "--out", "runs/names", *settings.split()])
assert status == 0

model = seqloom.load("runs/names/model")
for sentence in ("Carla met Bob in Rome .", "Oslo likes Dmitri ."):
    words = sentence.split()
    (tags,) = model.predict([words])
    print(" ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)))  # S-: a name of a single word
