"""The network of every classifier: scores by hand, padding, prefixes, losses, explanations."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import ConfigError
from seqloom.layers.encoder import build_encoder
from seqloom.systems.classifier.answers import Classes, Labels, Values
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.documents.network import ContextEncoder
from seqloom.systems.classifier.network import ClassifierBatch, ClassifierNetwork, Head, VectorFront

CLASSES = Classes(TagVocabulary(["a", "b", "c"], [5, 3, 2]))
LABELS = Labels(TagVocabulary(["a", "b", "c"]))
VALUES = Values(["x", "y", "z"], np.zeros(3), np.ones(3))
STEPS = Values(["x", "y", "z"], np.zeros(3), np.ones(3), stepwise=True)


def network(answer=CLASSES, **options):
    torch.manual_seed(1)
    config = ClassifierModelConfig(hidden_size=5, dropout_scores=0, **options)
    encoder = build_encoder(config, 4)
    head = Head(config, encoder.output_size, answer, config.bidirectional)
    return ClassifierNetwork(VectorFront(4), encoder, head).eval()


def batch(targets=None, lengths=(6, 3, 1)):
    torch.manual_seed(2)
    return ClassifierBatch(torch.randn(len(lengths), max(lengths), 4), torch.tensor(lengths), targets)


WAYS = ["last", "mean", "max", "attention", "votes", "sum", "vlad", "rvlad", "fisher", "bag"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [CLASSES, LABELS, VALUES], ids=["class", "labels", "values"])
def test_a_score_does_not_depend_on_padding_or_company(way, answer):
    net, whole = network(answer, read_out=way), batch()
    scores = net.scores(whole)
    assert scores.shape == (3, 3)
    for row, length in enumerate(whole.lengths.tolist()):
        alone = ClassifierBatch(whole.inputs[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(scores[row], net.scores(alone)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_prefix_of_a_forward_encoder_is_the_sequence_cut_there(way):
    net, whole = network(read_out=way, bidirectional=False), batch()
    found = net.prefix_scores(whole)
    for step in range(6):
        cut = ClassifierBatch(whole.inputs, whole.lengths.clamp(max=step + 1))
        torch.testing.assert_close(found[:, step], net.scores(cut), rtol=1e-4, atol=1e-5)


def test_votes_are_mean_logarithms_and_their_loss_is_that_of_the_steps():
    net, whole = network(read_out="votes"), batch(torch.tensor([2, 0, 1]))
    steps = net.head.scores(net.encode(whole)).log_softmax(-1)
    losses = []
    for row, (length, label) in enumerate(zip([6, 3, 1], [2, 0, 1], strict=True)):
        torch.testing.assert_close(net.scores(whole)[row], steps[row, :length].mean(0))
        losses.append(F.cross_entropy(steps[row, :length], torch.full((length,), label)))
    torch.testing.assert_close(net(whole), torch.stack(losses).mean())
    smoothed, plain = network(read_out="votes", label_smoothing=0.2), F.cross_entropy
    expected = [
        plain(steps[r, :n], torch.full((n,), k), label_smoothing=0.2) for r, n, k in ((0, 6, 2), (1, 3, 0), (2, 1, 1))
    ]
    torch.testing.assert_close(smoothed(whole), torch.stack(expected).mean())


def test_sums_are_added_before_they_become_probabilities():
    net, whole = network(read_out="sum"), batch()
    steps = net.head.scores(net.encode(whole))
    torch.testing.assert_close(net.scores(whole)[1], steps[1, :3].sum(0))


def test_stepwise_values_are_compared_at_real_steps_only():
    net, whole = network(STEPS), batch(torch.randn(10, 3))
    scores = net.scores(whole)
    real = torch.cat([scores[0], scores[1, :3], scores[2, :1]])
    torch.testing.assert_close(net(whole), F.mse_loss(real, whole.targets))
    assert net.terms(whole) == 10


@pytest.mark.parametrize("options", [{"experts": 2}, {"experts": 2, "context_gating": True}, {"context_gating": True}])
@pytest.mark.parametrize("answer", [CLASSES, LABELS], ids=["class", "labels"])
def test_experts_and_gates_train(options, answer):
    targets = torch.tensor([0, 1, 2]) if answer is CLASSES else torch.eye(3)
    net, whole = network(answer, **options).train(), batch(targets)
    loss = net(whole)
    loss.backward()
    assert loss.isfinite()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in net.head.parameters())


def test_probabilities_of_experts_are_shares_of_what_they_say():
    net, whole = network(experts=2), batch()
    vectors = net.head.read_out(net.encode(whole), whole.lengths)
    said = net.head.scores(vectors)
    torch.testing.assert_close(CLASSES.decide(net.scores(whole)), said / said.sum(-1, keepdim=True))


def test_a_word_between_its_contexts_does_not_see_itself_in_them():
    torch.manual_seed(0)
    encoder, x = ContextEncoder("rnn", 3, 4, 5).eval(), torch.randn(2, 6, 3)
    lengths = torch.tensor([6, 4])
    outputs, _ = encoder(x, lengths=lengths)
    contexts = encoder.contexts(x, lengths=lengths)[0]
    zero = torch.zeros(4)
    for row, length in enumerate(lengths.tolist()):
        for step in range(length):
            left = contexts[row, step - 1, :4] if step else zero
            right = contexts[row, step + 1, 4:] if step + 1 < length else zero
            expected = torch.tanh(encoder.hidden(torch.cat([left, x[row, step], right])))
            torch.testing.assert_close(outputs[row, step], expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"read_out": "last", "merge": "sum"}, "model.read_out is 'last', which needs both directions apart"),
        ({"read_out": "votes", "experts": 2}, "model.read_out is 'votes', which scores every step by a linear map"),
        ({"dropout_scores": 1.0}, "model.dropout_scores is 1.0; expected 0 to below 1"),
        ({"clusters": 0}, "model.clusters is 0; expected at least 1"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ClassifierModelConfig(**options)
