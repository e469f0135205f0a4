"""A tagger of names from Python: trained on a few sentences, and used."""

import seqloom

PEOPLE, PLACES = ["Ann", "Bob", "Carla", "Dmitri"], ["Rome", "Oslo", "Lima", "Cairo"]
SENTENCES = "{} flew from {} to {} .", "In {1} we met {0} .", "{} likes {} and {} ."

sentences = []
for number in range(96):
    names = [PEOPLE[number % 4], PLACES[number // 4 % 4], PLACES[(number + 1) % 4]]
    words = SENTENCES[number % 3].format(*names).split()
    sentences.append((words, ["B-PER" if word in PEOPLE else "B-LOC" if word in PLACES else "O" for word in words]))

# Data may also be files, such as data={"train": "train.conll"}. Every key of the recipe can be given here.
model = seqloom.train(
    "ner",
    data={"train": sentences},
    out="runs/names",
    model={"hidden_size": 32},
    training={"epochs": 5, "batch_size": 4, "learning_rate": 0.01},
)

for sentence in ("Carla met Bob in Rome .", "Oslo likes Dmitri ."):
    words = sentence.split()
    (tags,) = model.predict([words])
    print(" ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)))  # S-: a name of a single word
