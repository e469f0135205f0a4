"""PyTorch's database of module tests (torch.testing) with the drop-in in the place of torch's recurrent layers.

The samples and the expected errors are torch's; what is asked of them follows test/test_modules.py.
"""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

import seqloom.nn

KINDS = ["RNN", "LSTM", "GRU"]


@pytest.fixture(scope="module")
def database():
    # Imported late: it takes seconds, and it freezes torch's global flags.
    from torch.testing._internal import common_modules

    return common_modules


def samples(database, kind, dtype, requires_grad=False, **options):
    """(module of seqloom, arguments, keyword arguments, reference or none) for each of torch's samples."""
    info = next(info for info in database.module_db if info.module_cls is getattr(nn, kind))
    found = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=False, **options
    )
    assert len(found) >= 16
    for sample in found:
        torch.manual_seed(0)
        built, given = sample.constructor_input, sample.forward_input
        module = getattr(seqloom.nn, kind)(*built.args, **built.kwargs, dtype=dtype)
        yield module, given.args, given.kwargs, sample.reference_fn


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, nn.utils.rnn.PackedSequence):
        return [value.data]
    return [tensor for part in value for tensor in tensors(part)] if isinstance(value, (tuple, list)) else []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_equals_the_reference_and_torchs_own_layer(database, kind, dtype):
    for module, arguments, named, reference in samples(database, kind, dtype):
        found = module(*arguments, **named)
        torch.testing.assert_close(found, reference(module, *arguments, **named))
        torch.testing.assert_close(found, seqloom.nn.restore(copy.deepcopy(module))(*arguments, **named))


@pytest.mark.parametrize("kind", ["RNN", "GRU"])
def test_forward_of_packed_samples_equals_torchs_own_layer(database, kind):
    for module, arguments, named, _ in samples(database, kind, torch.float64, with_packed_sequence=True):
        torch.testing.assert_close(
            tensors(module(*arguments, **named)),
            tensors(seqloom.nn.restore(copy.deepcopy(module))(*arguments, **named)),
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_the_expected_ones(database, kind, dtype):
    info = next(info for info in database.module_db if info.module_cls is getattr(nn, kind))
    errors = info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=False)
    for error in errors:
        built, given = error.module_error_input.constructor_input, error.module_error_input.forward_input
        if error.error_on is database.ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex):
                getattr(seqloom.nn, kind)(*built.args, **built.kwargs)
        else:
            module = getattr(seqloom.nn, kind)(*built.args, **built.kwargs)
            with pytest.raises(error.error_type, match=error.error_regex):
                module(*given.args, **given.kwargs)


@pytest.mark.parametrize("kind", KINDS)
def test_pickles_copies_words_and_state_dicts(database, kind):
    for module, arguments, named, _ in samples(database, kind, torch.float64):
        wanted = module(*arguments, **named)
        for twin in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
            torch.testing.assert_close(twin(*arguments, **named), wanted)
        assert str(module) == repr(module)
        other = copy.deepcopy(module)
        other.reset_parameters()
        other.load_state_dict(module.state_dict())
        torch.testing.assert_close(other(*arguments, **named), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_with_gaps_in_memory_give_the_same(database, kind):
    def spread(value):
        if isinstance(value, torch.Tensor):
            return torch.stack([value, torch.full_like(value, torch.nan)], -1)[..., 0]
        return tuple(map(spread, value))

    for module, arguments, named, _ in samples(database, kind, torch.float64):
        torch.testing.assert_close(module(*map(spread, arguments), **named), module(*arguments, **named))


@pytest.mark.parametrize("kind", KINDS)
def test_modules_move_between_types_and_devices(database, kind):
    for module, arguments, named, _ in samples(database, kind, torch.float32):
        wanted = module(*arguments, **named)
        double = [argument.double() if isinstance(argument, torch.Tensor) else None for argument in arguments]
        if None not in double:
            torch.testing.assert_close(tensors(module.double()(*double, **named)), tensors(wanted), check_dtype=False)
        module.float()
        torch.testing.assert_close(module(*arguments, **named), wanted)
        empty = module.to("meta").to_empty(device="cpu")
        assert type(empty) is type(module)
        empty.reset_parameters()
        assert all(torch.isfinite(result).all() for result in tensors(empty(*arguments, **named)))


@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_are_the_finite_differences(database, kind):
    for position, (module, arguments, named, _) in enumerate(samples(database, kind, torch.float64, True)):
        sources = [*tensors(arguments), *module.parameters()]

        def results(*_, module=module, arguments=arguments, named=named):
            return tuple(tensors(module(*arguments, **named)))

        assert gradcheck(results, sources, fast_mode=True)
        if position % 4 == 0:
            assert gradgradcheck(results, sources, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_training_and_evaluation_differ_by_dropout_alone(database, kind):
    for module, arguments, named, _ in samples(database, kind, torch.float64):
        torch.testing.assert_close(module.train()(*arguments, **named), module.eval()(*arguments, **named))
        module.dropout = 0.9
        assert not all(
            map(
                torch.equal,
                tensors(module.train()(*arguments, **named)),
                tensors(module.eval()(*arguments, **named)),
            )
        )
