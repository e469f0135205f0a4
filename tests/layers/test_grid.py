"""Recurrences over images, against two nested loops, closed forms and symmetries."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.layers.grid import MDLSTM, GridRNN

KINDS = {
    "rnn": (GridRNN, {}),
    "relu": (GridRNN, {"nonlinearity": "relu"}),
    "lstm": (MDLSTM, {}),
    "peepholes": (MDLSTM, {"peepholes": True}),
    "leaky": (MDLSTM, {"stable": "leaky"}),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
FLIPS = [[], [1], [0], [0, 1]]  # axes of an image (H, W, D) that a direction turns


def layer_of(kind="lstm", input_size=2, hidden_size=3, **options):
    torch.manual_seed(1)
    kind_class, usual = KINDS[kind]
    layer = kind_class(input_size, hidden_size, **{**usual, **options}).double()
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return layer


def images(batch=3, height=4, width=5, features=2):
    torch.manual_seed(2)
    return torch.randn(batch, height, width, features, dtype=torch.float64)


def cell(layer, direction, x, up, left):
    """New states of one pixel x (D,), by the formulas."""
    total = layer.weight_x[direction] @ x + layer.bias[direction]
    total = total + layer.weight_up[direction] @ up[0] + layer.weight_left[direction] @ left[0]
    if isinstance(layer, GridRNN):
        return ({"tanh": torch.tanh, "relu": torch.relu, "identity": lambda v: v}[layer.nonlinearity](total),)
    c_up, c_left = up[1], left[1]
    if layer.stable:
        f, share, o, g = total.view(4, -1)
        f, share, o = f.sigmoid(), share.sigmoid(), o.sigmoid()
        c = f * (share * c_up + (1 - share) * c_left) + (1 - f) * g.tanh()
        return o * c.tanh(), c
    i, f1, f2, o, g = total.view(5, -1)
    p = layer.peepholes[direction] if layer.peepholes is not None else torch.zeros(5, 1)
    c = (f1 + p[2] * c_up).sigmoid() * c_up + (f2 + p[3] * c_left).sigmoid() * c_left
    c = c + (i + p[0] * c_up + p[1] * c_left).sigmoid() * g.tanh()
    return (o + p[4] * c).sigmoid() * c.tanh(), c


def scan(layer, direction, image, above=None):
    """One direction over one image (H, W, D): outputs (H, W, m) and the states of the last row, each (W, m)."""
    flip = FLIPS[direction]
    image = image.flip(flip)
    zero = tuple(image.new_zeros(layer.hidden_size) for _ in layer.state)
    height, width = image.shape[:2]
    row = [zero] * width if above is None else [tuple(field[j] for field in above) for j in range(width)]
    row = row[::-1] if 1 in flip else row
    rows = []
    for i in range(height):
        left = zero
        for j in range(width):
            left = row[j] = cell(layer, direction, image[i, j], row[j], left)
        rows.append(torch.stack([states[0] for states in row]))
    outputs = torch.stack(rows).flip(flip) if rows else image.new_zeros(0, width, layer.hidden_size)
    last = row[::-1] if 1 in flip else row
    return outputs, [torch.stack(field) for field in zip(*last, strict=True)]


def naive(layer, image, above=None):
    """Both loops, all directions merged; the states of the last rows are (directions, W, m)."""
    found = [
        scan(layer, d, image, None if above is None else [field[d] for field in above]) for d in range(layer.directions)
    ]
    outputs = [output for output, _ in found]
    merged = sum(outputs) if layer.merge == "sum" else torch.cat(outputs, -1)
    return merged, [torch.stack(field) for field in zip(*(last for _, last in found), strict=True)]


@EVERY
@pytest.mark.parametrize("directions", [1, 2, 4])
@pytest.mark.parametrize(("height", "width"), [(4, 5), (5, 2), (1, 3), (3, 1), (1, 1)])
def test_diagonals_equal_two_nested_loops_with_gradients(kind, directions, height, width):
    layer = layer_of(kind, directions=directions, merge="concat" if height > width else "sum")
    x = images(2, height, width).requires_grad_()
    state = layer.initial_state(2, width)
    state = state._make(torch.randn_like(field).requires_grad_() for field in state)
    leaves = [x, *state, *layer.parameters()]
    found, last = layer(x, state)
    alone = [naive(layer, x[b], [field[b] for field in state]) for b in range(2)]
    wanted = torch.stack([outputs for outputs, _ in alone])
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    ends = [torch.stack(field) for field in zip(*(end for _, end in alone), strict=True)]
    torch.testing.assert_close(list(last), ends, atol=1e-12, rtol=0)
    losses = [
        outputs.sin().sum() + sum(end.cos().sum() for end in rows) for outputs, rows in ((found, last), (wanted, ends))
    ]
    gradients = [torch.autograd.grad(loss, leaves) for loss in losses]
    torch.testing.assert_close(*gradients, atol=1e-11, rtol=0)


def test_the_golden_vector():
    def fill(shape, start):
        return (0.5 * torch.sin(start + torch.arange(math.prod(shape), dtype=torch.float64))).view(shape)

    layer = MDLSTM(3, 4, directions=1).double()
    shapes = {"weight_x": (4, 3), "weight_up": (4, 4), "weight_left": (4, 4), "bias": (4,)}
    for gate in range(5):
        for position, (name, shape) in enumerate(shapes.items(), 1):
            getattr(layer, name).data[0, 4 * gate : 4 * gate + 4] = fill(shape, 100 * (4 * gate + position))
    outputs, _ = layer(fill((3, 3, 3), 1).unsqueeze(0))
    wanted = torch.tensor([0.24988262, 0.08338858, -0.41190550, -0.14223853], dtype=torch.float64)
    torch.testing.assert_close(outputs[0, 2, 2], wanted, atol=5e-8, rtol=0)


@pytest.mark.parametrize("peepholes", [False, True])
def test_an_image_of_one_column_is_a_sequence_for_an_lstm_with_peepholes(peepholes):
    layer = layer_of("peepholes" if peepholes else "lstm", directions=1)
    x = images(2, 6, 1)
    h = c = torch.zeros(2, 3, dtype=torch.float64)
    p = layer.peepholes[0] if peepholes else torch.zeros(5, 1, dtype=torch.float64)
    outputs = []
    for t in range(6):
        i, f, _, o, g = (x[:, t, 0] @ layer.weight_x[0].T + h @ layer.weight_up[0].T + layer.bias[0]).chunk(5, -1)
        c_new = torch.sigmoid(f + p[2] * c) * c + torch.sigmoid(i + p[0] * c) * torch.tanh(g)
        c = c_new
        h = torch.sigmoid(o + p[4] * c) * torch.tanh(c)
        outputs.append(h)
    found, state = layer(x)
    torch.testing.assert_close(found[:, :, 0], torch.stack(outputs, 1), atol=1e-14, rtol=0)
    torch.testing.assert_close(state.c[:, 0, 0], c, atol=1e-14, rtol=0)


def test_an_image_of_one_column_is_torchs_lstm():
    layer, vendor = layer_of(directions=1), torch.nn.LSTM(2, 3, batch_first=True).double()
    rows = torch.cat([torch.arange(block * 3, block * 3 + 3) for block in (0, 1, 4, 3)])  # torch has i, f, g, o
    with torch.no_grad():
        vendor.weight_ih_l0.copy_(layer.weight_x[0, rows])
        vendor.weight_hh_l0.copy_(layer.weight_up[0, rows])
        vendor.bias_ih_l0.copy_(layer.bias[0, rows])
        vendor.bias_hh_l0.zero_()
    x = images(3, 7, 1)
    torch.testing.assert_close(layer(x)[0][:, :, 0], vendor(x[:, :, 0])[0], atol=1e-14, rtol=0)


@pytest.mark.parametrize("direction", range(4))
def test_an_impulse_in_a_linear_grid_counts_the_paths(direction):
    layer = GridRNN(1, 1, merge="concat", nonlinearity="identity").double()
    for parameter in layer.parameters():
        parameter.data.fill_(0.0 if parameter is layer.bias else 1.0)
    x = torch.zeros(1, 5, 6, 1, dtype=torch.float64)
    x[0, -1 if 0 in FLIPS[direction] else 0, -1 if 1 in FLIPS[direction] else 0] = 1.0
    found = layer(x)[0][0, :, :, direction].flip(FLIPS[direction])
    wanted = torch.tensor([[math.comb(i + j, i) for j in range(6)] for i in range(5)], dtype=torch.float64)
    assert torch.equal(found, wanted)


@EVERY
def test_a_turned_image_exchanges_the_directions(kind):
    layer, x = layer_of(kind, merge="concat"), images()
    found = layer(x)[0].chunk(4, -1)
    for axes, partners in (([1, 2], (3, 2, 1, 0)), ([2], (1, 0, 3, 2)), ([1], (2, 3, 0, 1))):
        turned = layer_of(kind, merge="concat")
        for name, parameter in turned.named_parameters():
            parameter.data = getattr(layer, name).data[list(partners)]
        outputs = turned(x.flip(axes))[0].flip(axes).chunk(4, -1)
        for direction, partner in enumerate(partners):
            torch.testing.assert_close(outputs[partner], found[direction], atol=1e-14, rtol=0)


@EVERY
@settings(deadline=None, max_examples=12)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4), spare=st.integers(0, 2),
    directions=st.sampled_from([1, 2, 4]), started=st.booleans(), merge=st.sampled_from(["sum", "concat"]),
)  # fmt: skip
def test_padding_never_changes_a_valid_output(kind, sizes, spare, directions, started, merge):
    layer = layer_of(kind, directions=directions, merge=merge)
    heights, widths = (torch.tensor([size[axis] for size in sizes], dtype=torch.int32) for axis in (0, 1))
    height, width = (max((size[axis] for size in sizes), default=0) + spare for axis in (0, 1))
    x = images(len(sizes), height, width)
    for b, (h, w) in enumerate(sizes):
        x[b, h:], x[b, :, w:] = float("nan"), 1e3
    state = layer.initial_state(len(sizes), width)
    state = state._make(torch.randn_like(field) for field in state) if started else None
    x.requires_grad_()
    outputs, last = layer(x, state, heights, widths)
    if not x.numel():
        assert outputs.shape == (*x.shape[:3], layer.output_size)
        return
    gradients = torch.autograd.grad(outputs.sum(), [x, layer.weight_x])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    for b, (h, w) in enumerate(sizes):
        wanted, ends = layer(
            x[b : b + 1, :h, :w], None if state is None else tuple(field[b : b + 1, :, :w] for field in state)
        )
        torch.testing.assert_close(outputs[b, :h, :w], wanted[0], atol=1e-12, rtol=0)
        assert not outputs[b, h:].any()
        assert not outputs[b, :, w:].any()
        assert not gradients[0][b, h:].any()
        assert not gradients[0][b, :, w:].any()
        for field, end in zip(last, ends, strict=True):
            torch.testing.assert_close(field[b, :, :w], end[0], atol=1e-12, rtol=0)
            assert not field[b, :, w:].any()


@EVERY
@pytest.mark.parametrize("directions", [1, 2])
def test_rows_that_arrive_in_parts_give_what_the_whole_gives(kind, directions):
    layer, x = layer_of(kind, directions=directions), images()
    whole, last = layer(x)
    for cut in range(5):
        first, state = layer(x[:, :cut])
        second, state = layer(x[:, cut:], state)
        torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-13, rtol=0)
        torch.testing.assert_close(tuple(state), tuple(last), atol=1e-13, rtol=0)


@EVERY
def test_gradients_are_those_of_finite_differences(kind):
    layer = layer_of(kind if kind != "relu" else "rnn", 2, 2)
    names = [name for name, _ in layer.named_parameters()]
    heights, widths = torch.tensor([3, 2]), torch.tensor([2, 3])

    def outcome(x, *parameters):
        return torch.func.functional_call(
            layer, dict(zip(names, parameters, strict=True)), (x, None, heights, widths)
        )[0]  # fmt: skip

    inputs = [images(2, 3, 3), *layer.parameters()]
    assert torch.autograd.gradcheck(outcome, [value.detach().requires_grad_() for value in inputs], fast_mode=True)


def test_one_direction_sees_a_quarter_and_four_see_all():
    for directions, seen in ((1, torch.zeros(6, 7).bool()), (4, torch.ones(6, 7).bool())):
        layer, x = layer_of("rnn", directions=directions), images(1, 6, 7)
        touched = x.clone()
        touched[0, 2, 3] += 1.0
        changed = (layer(touched)[0] != layer(x)[0]).any(-1)[0]
        if directions == 1:
            seen[2:, 3:] = True
        assert torch.equal(changed, seen)


def test_sizes_are_those_of_the_formulas():
    n, m = 3, 4
    for options, size in [
        ({}, 5 * m * (n + 2 * m + 1)),
        ({"peepholes": True}, 5 * m * (n + 2 * m + 1) + 5 * m),
        ({"stable": "leaky"}, 4 * m * (n + 2 * m + 1)),
    ]:
        for directions in (1, 2, 4):
            layer = MDLSTM(n, m, directions=directions, **options)
            assert sum(parameter.numel() for parameter in layer.parameters()) == directions * size
    assert sum(parameter.numel() for parameter in GridRNN(n, m).parameters()) == 4 * m * (n + 2 * m + 1)


def test_a_forget_bias_of_one_explodes_the_plain_cell_and_not_the_leaky_one():
    x = torch.ones(1, 64, 64, 1)
    largest = {}
    for stable, bias in ((None, 1.0), (None, 0.0), ("leaky", 1.0)):
        torch.manual_seed(0)
        layer = MDLSTM(1, 4, directions=1, stable=stable, forget_bias=bias)
        with torch.no_grad():
            for parameter in (layer.weight_x, layer.weight_up, layer.weight_left):
                parameter.mul_(0.1)  # as at the start of training: the gates stand at their biases
            largest[stable, bias] = float(layer(x)[1].c.abs().max())
    assert largest[None, 1.0] > 1e9
    assert largest[None, 0.0] < 1e3
    assert largest["leaky", 1.0] <= 1.0


def test_a_new_layer_begins_with_the_forget_bias_it_was_asked_for():
    assert torch.equal(MDLSTM(2, 3, forget_bias=-1.0).bias[0].view(5, 3)[:, 0], torch.tensor([0.0, -1, -1, 0, 0]))
    assert not MDLSTM(2, 3).bias.any()


def test_what_does_not_fit_is_said_in_one_sentence():
    layer, x = layer_of(), images()
    for arguments, says in [
        ((x[0],), r"x has shape \(4, 5, 2\); expected \(B, H, W, D\) with D = 2 features"),
        ((x, None, torch.tensor([4, 4, 5])), r"heights\[2\] is 5 but x has H = 4 rows"),
        ((x, None, None, torch.tensor([5, -1, 5])), r"widths\[1\] is -1 but x has W = 5 columns"),
        ((x, None, torch.ones(3)), r"heights has shape \(3,\) and type torch\.float32"),
        ((x, (torch.zeros(3, 4, 5, 3),)), "state has 1 fields; expected 2: h, c"),
        ((x, layer.initial_state(3, 4)), r"state\.h has shape \(3, 4, 4, 3\); expected \(3, 4, 5, 3\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            layer(*arguments)
    for options, says in [
        ({"directions": 3}, "directions is 3; expected 1, 2 or 4"),
        ({"merge": "max"}, "merge is 'max'"),
        ({"stable": "yes"}, "stable is 'yes'"),
        ({"stable": "leaky", "peepholes": True}, "the leaky cell has no peepholes"),
        ({"hidden_size": 0}, "hidden_size is 0"),
    ]:
        with pytest.raises(ConfigError, match=says):
            MDLSTM(**{"input_size": 2, "hidden_size": 3, **options})
