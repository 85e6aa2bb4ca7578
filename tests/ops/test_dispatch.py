"""What PyTorch has no public query for is answered as it was when `eanet.ops.dispatch` was written.

If one of these fails with a new release of PyTorch, `dispatch.py` is the file to mend.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import grad, jvp, vmap
from torch.utils.flop_counter import FlopCounterMode

from eanet.ops import dispatch
from eanet.ops.dispatch import is_plain, is_traced, needs_formulas


def test_each_transform_is_noticed():
    x, seen = torch.randn(3), []

    def look(x):
        seen.append(needs_formulas(x))
        return x.sum()

    look(x)
    grad(look)(x)
    vmap(look)(x[None])
    jvp(look, (x,), (x,))
    with forward_ad.dual_level():
        look(x)
    with pytest.warns((DeprecationWarning, FutureWarning), match="jit"):
        torch.jit.trace(look, x, check_trace=False)
    with FakeTensorMode() as fake:
        look(fake.from_tensor(x))
    look(x)
    assert seen[0] is seen[-1] is False
    assert all(seen[1:-1])
    assert len(seen) == 8


def test_each_mode_takes_the_operator():
    x = torch.randn(3)
    assert not is_traced(x)
    with FlopCounterMode(display=False):
        assert is_traced(x)
        assert not needs_formulas(x)
    assert is_traced(x.requires_grad_())
    with torch.no_grad():
        assert not is_traced(x)


def test_the_compiler_is_not_asked_for():
    seen = []

    @torch.compile(backend="eager")
    def look(x):
        seen.append((needs_formulas(x), is_traced(x)))
        return x + 1

    look(torch.randn(3))
    assert seen[0] == (False, True)


class Sub(torch.Tensor):
    """A tensor with operations of its own, as quantisation makes them."""


def test_a_layer_is_plain_until_something_is_changed():
    layer = nn.Linear(2, 2)
    assert is_plain(layer, nn.Linear)
    assert not is_plain(layer, nn.Conv2d)
    for register in (
        layer.register_forward_hook,
        layer.register_forward_pre_hook,
        layer.register_full_backward_hook,
        layer.register_full_backward_pre_hook,
    ):
        handle = register(lambda *_: None)
        assert not is_plain(layer, nn.Linear)
        handle.remove()
    layer.forward = layer.forward
    assert not is_plain(layer, nn.Linear)
    del layer.forward
    for name in ("weight", "bias"):
        before = getattr(layer, name)
        setattr(layer, name, nn.Parameter(before.detach().as_subclass(Sub)))
        assert not is_plain(layer, nn.Linear)
        setattr(layer, name, before)
    assert is_plain(layer, nn.Linear)


@pytest.mark.parametrize("package", ["ops", "models"])
def test_no_other_file_asks_pytorch_in_private(package):
    private = re.compile(r"torch\._|forward_ad\._|\._(forward|backward)\w*hooks|_functorch")
    for path in (Path(dispatch.__file__).parent.parent / package).glob("*.py"):
        if path.name != "dispatch.py":
            assert not private.search(path.read_text("utf-8")), path
