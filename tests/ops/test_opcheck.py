"""Every operator keeps PyTorch's rules for operators, and its gradient is that of its function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
import torch
from torch import Tensor

from eanet import ops
from eanet.ops import kernels, max_pool

MODULES = [import_module(module.name) for module in iter_modules(ops.__path__, "eanet.ops.")]
SEED = torch.tensor(2**61 + 5)
Made = Callable[..., Tensor]


def tensor(
    *shape: int, dtype: torch.dtype = torch.float32, strided: bool = False, grad: bool = False
) -> Tensor:
    """A random tensor, or one with another order in memory and gaps between its entries."""
    if strided:
        made = torch.randn(*shape[::-1], 2, dtype=dtype)[..., 0].permute(*range(len(shape))[::-1])
    else:
        made = torch.randn(shape, dtype=dtype)
    return made.requires_grad_(grad)


def nothing(of: Tensor) -> Tensor:
    return of.detach().new_empty(0)


def wide(of: Tensor) -> torch.dtype:
    return torch.promote_types(of.dtype, torch.float32)


def attend_operands(make: Made, images: int = 3, tokens: int = 5) -> tuple[Tensor, ...]:
    return make(images, tokens, 6), make(2 * 4, 6), make(6, 2 * 4)


# By operator: its arguments, given a maker of tensors, in several cases.
CASES: dict[str, dict[str, Callable[[Made], tuple[Any, ...]]]] = {
    "attend": {
        f"{images} images, {tokens} tokens, threshold {threshold}, kept {kept}": (
            lambda make, n=images, t=tokens, d=threshold, k=kept: (
                *attend_operands(make, n, t), 2, SEED, d, k
            )
        )
        for images, tokens, threshold, kept in (
            (3, 5, 0, True), (3, 5, 51, True), (3, 5, 51, False), (0, 5, 0, True), (2, 0, 51, True),
        )
    },
    "attend_backward": {
        f"threshold {threshold}": lambda make, d=threshold: (
            lambda x, w_in, w_out: (
                make(3, 5, 6), x, w_in, w_out, make(3, 5, 8), make(3, 5, 2).to(wide(x)), SEED, d
            )
        )(*attend_operands(make))
        for threshold in (0, 51)
    },
    "normalize_and_drop": {
        f"{shape}, threshold {threshold}": lambda make, s=shape, d=threshold: (make(*s), SEED, d)
        for shape in ((2, 5, 3, 4), (2, 0, 3, 4), (0, 5, 3, 4), (1, 1, 1, 16))
        for threshold in (0, 51)
    },
    "normalize_and_drop_backward": {
        f"threshold {threshold}": lambda make, d=threshold: (
            lambda a: (make(2, 5, 3, 4), a, make(2, 5, 3, 1).to(wide(a)), SEED, d)
        )(make(2, 5, 3, 4))
        for threshold in (0, 51)
    },
    "self_attend": {
        f"{shape}, threshold {threshold}, kept {kept}": (
            lambda make, s=shape, d=threshold, k=kept: (make(*s), make(*s), make(*s), SEED, d, k)
        )
        for shape, threshold, kept in (
            ((4, 5, 3), 0, True), ((4, 5, 3), 51, False),
            ((0, 5, 3), 0, True), ((4, 0, 3), 51, True),
        )
    },
    "self_attend_backward": {
        f"threshold {threshold}, kept {kept}": lambda make, d=threshold, k=kept: (
            *(make(4, 5, 3) for _ in range(4)),
            make(4, 5, 5) if k else nothing(make(1)),
            SEED,
            d,
        )
        for threshold, kept in ((0, True), (51, False))
    },
    "random_bytes": {str(count): lambda _, n=count: (SEED, n) for count in (13, 0, 1, 64)},
    "batch_norm": {"10 rows": lambda make: (make(10, 6), make(6), make(6), 1e-5)},
    "batch_norm_backward": {
        "10 rows": lambda make: (
            make(10, 6), make(10, 6), make(6), make(6), make(6).detach().abs() + 1, 1e-5,
        )
    },
    "depthwise": {
        f"{n} images": lambda make, n=n: (make(n, 9, 6), make(6, 1, 3, 3)) for n in (2, 0)
    },
    "depthwise_backward": {
        "2 images": lambda make: (make(2, 9, 6), make(2, 9, 6), make(6, 1, 3, 3))
    },
    "max_pool": {f"side {side}": lambda make, s=side: (make(2, 3, s, s),) for side in (7, 1, 8)},
    "max_pool_backward": {
        "side 7": lambda make: (
            make(2, 3, 4, 4), maps := make(2, 3, 7, 7), max_pool._compute(maps.detach())[1],
        )
    },
    "resample": {
        "same size": lambda make: (make(2, 3, 8, 8), make(2, 8, 8, 2)),
        "other size": lambda make: (make(2, 3, 8, 8), make(2, 4, 5, 2)),
    },
}  # fmt: skip
WITHOUT_GRADIENT = {"random_bytes", "resample", *(n for n in CASES if n.endswith("_backward"))}
TYPES = {
    "batch_norm": (torch.float32, torch.float64),  # in bfloat16 the statistics have another type
    "batch_norm_backward": (torch.float32, torch.float64),
    "resample": (torch.float32, torch.float64),
}

# The slowest of the checks compiles a graph. It is done once for each choice of dropout and of what
# is kept for the gradient; other shapes and types of number are left to the other checks.
COMPILED = {
    (name, case)
    for name, cases in CASES.items()
    for case in {case.partition("threshold")[2]: case for case in reversed(cases)}.values()
}


def test_no_operator_is_left_out():
    found = {
        value._qualname.partition("::")[2]
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, torch.library.CustomOpDef)
    }
    assert found == set(CASES)


@pytest.mark.parametrize(
    ("strided", "grad"),
    [(False, True), (True, False), (True, True)],
    ids=["grad", "strided", "strided, grad"],
)
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        pytest.param(torch.bfloat16, marks=pytest.mark.no_cover),
        pytest.param(torch.float64, marks=pytest.mark.no_cover),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases]
)
def test_it_keeps_the_rules(name, case, dtype, grad, strided):
    if (grad and name in WITHOUT_GRADIENT) or dtype not in TYPES.get(name, (dtype,)):
        return  # has no such form
    hardest = strided and (grad or name in WITHOUT_GRADIENT)
    if dtype != torch.float32 and not hardest:
        return  # the other types only in that form, as each check takes a while
    keeps_the_rules(name, case, dtype, grad, strided)


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in CASES if "attend" in name or "drop" in name for case in CASES[name]],
)
def test_it_keeps_the_rules_without_kernels(name, case, monkeypatch):
    monkeypatch.setattr(kernels, "_library", None)
    keeps_the_rules(name, case, torch.float32, name not in WITHOUT_GRADIENT, True)


def keeps_the_rules(name, case, dtype, grad, strided):
    torch.manual_seed(0)
    arguments = CASES[name][case](partial(tensor, dtype=dtype, strided=strided, grad=grad))
    tests = ["test_schema", "test_faketensor", "test_autograd_registration"]
    if dtype == torch.float32 and (name, case) in COMPILED:
        tests.append("test_aot_dispatch_dynamic")
    torch.library.opcheck(getattr(torch.ops.eanet, name).default, arguments, test_utils=tests)
