"""External attention: attention to two small learned memories, linear in the number of tokens.

Guo et al., 2021, "Beyond Self-attention: External Attention using Two Linear Layers for Visual
Tasks", arXiv 2105.02358, section 3.2 (attention, double normalisation) and 3.3 (multi-head).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.models.attention_maps import AttentionMaps
from eanet.models.attention_mask import refuse_mask
from eanet.models.dropout import Dropout, goes_inside
from eanet.ops.dispatch import is_plain
from eanet.ops.double_normalization import double_normalize
from eanet.ops.external_attention import can_fuse, fused_attention


class ExternalAttention(nn.Module):
    """Multi-head external attention whose two memories are shared by all heads.

    Tokens ``(B, N, dim)`` in, tokens ``(B, N, dim)`` out; N may change from call to call::

        q = x W_q                          (B, N, h, c*dim/h)
        a = double_normalize(q M_k)        (B, N, h, S)
        y = (a M_v) W_o                    (B, N, dim)

    Nothing lies between ``W_q`` and ``M_k``, or ``M_v`` and ``W_o``, so these are multiplied first
    if that takes fewer operations.

    It can be differentiated any number of times, by autograd and by `torch.func`. Call
    `eanet.build_kernels` first to make it faster on a CPU.

    Args:
        dim: width of the tokens.
        heads: number of heads; divides ``coefficient * dim``.
        slots: rows of each memory, S.
        coefficient: inner width as a multiple of ``dim``, c.
        all_biases: give ``W_q``, ``M_k`` and ``M_v`` biases, to match the parameter counts and
            weights of the published code. Those of ``W_q`` and ``M_k`` are constant over tokens and
            cancel in the normalisation, so they are not trained.
        dropout: probability of dropping an entry of the attention map.
        output_dropout: probability of dropping an entry of the result.

    Raises:
        ValueError: a size is below 1, the heads do not divide the inner width, or the input is not
            ``(B, N, dim)``.

    Examples:
        >>> import torch
        >>> attention = eanet.ExternalAttention(dim=96, heads=8, slots=64)
        >>> attention(torch.randn(2, 256, 96)).shape
        torch.Size([2, 256, 96])
        >>> attention.attention(torch.randn(2, 256, 96)).shape  # (B, N, h, S)
        torch.Size([2, 256, 8, 64])
    """

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        slots: int = 64,
        coefficient: int = 4,
        *,
        all_biases: bool = False,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = {"dim": dim, "heads": heads, "slots": slots, "coefficient": coefficient}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}={size} must be 1 or more")
        inner = coefficient * dim
        if inner % heads:
            raise ValueError(
                f"heads={heads} must divide coefficient * dim = {coefficient} * {dim} = {inner}"
            )
        self.dim, self.heads, self.slots = dim, heads, slots
        self.head_dim = inner // heads
        self.query = nn.Linear(dim, inner, bias=all_biases)
        self.key_memory = nn.Linear(self.head_dim, slots, bias=all_biases)
        self.value_memory = nn.Linear(slots, self.head_dim, bias=all_biases)
        self.output = nn.Linear(inner, dim)
        self.dropout = Dropout(dropout)
        self.output_dropout = Dropout(output_dropout)
        # Multiply-adds per token, on one side: x (W_q M_k) against (x W_q) M_k.
        self.weights_first = dim * heads * slots <= dim * inner + inner * slots
        for dead in (self.query.bias, self.key_memory.bias):
            if dead is not None:
                dead.requires_grad_(False)
        for layer in (self.query, self.key_memory, self.value_memory, self.output):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return how well each token ``(B, N, dim)`` fits each slot: ``(B, N, h, S)``."""
        return self._logits(self._tokens(x))

    def _logits(self, x: Tensor) -> Tensor:
        if self._multiplies_weights():
            logits: Tensor = F.linear(x, self._w_in()).unflatten(-1, (self.heads, self.slots))
        else:
            q = self.query(x).unflatten(-1, (self.heads, self.head_dim))  # (B, N, h, c*d/h)
            logits = self.key_memory(q)
        return logits  # (B, N, h, S)

    def attention(self, x: Tensor) -> Tensor:
        """Return the attention of each token ``(B, N, dim)`` to each slot: ``(B, N, h, S)``."""
        return double_normalize(self.logits(x))

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return what each slot of each head attends to in tokens ``(B, N, dim)``.

        A slot adds ``a`` times one vector to each token, so its contribution is the norm of that
        vector times the deviations of ``a`` from its mean over tokens. Weighting attention by
        norms is due to Kobayashi et al., 2020, "Attention is Not Only a Weight", arXiv 2004.10102.
        """
        a = self.attention(x)  # (B, N, h, S)
        deviations = (a - a.mean(dim=1, keepdim=True)).abs().sum(dim=1)  # (B, h, S)
        weights = a.permute(0, 2, 3, 1)  # (B, h, S, N)
        return AttentionMaps.of(weights, deviations * self.slot_outputs(x).norm(dim=-1))

    def slot_outputs(self, like: Tensor) -> Tensor:
        """Return the result of attending to one slot only, without biases: ``(h, S, d)``.

        Layers that were replaced are given the type and device of ``like``, such as tokens.
        """
        if is_plain(self.value_memory, nn.Linear) and is_plain(self.output, nn.Linear):
            w_out: Tensor = self._w_out().unflatten(1, (self.heads, self.slots))  # (d, h, S)
            return w_out.permute(1, 2, 0)  # (h, S, d)
        # Layers that were replaced are called, once for each slot, less what they give for none.
        size = self.heads * self.slots
        a = torch.cat([torch.eye(size), torch.zeros(1, size)]).to(like)
        a = a.unflatten(1, (self.heads, self.slots)).unsqueeze(0)  # (1, h*S + 1, h, S)
        y: Tensor = self.output(self.value_memory(a).flatten(2))  # (1, h*S + 1, d)
        added: Tensor = y[0, :-1] - y[0, -1]  # (h*S, d)
        return cast(Tensor, added.unflatten(0, (self.heads, self.slots)))  # (h, S, d)

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``.

        The other arguments are those that blocks of other libraries pass to any attention.

        Raises:
            ValueError: there is a mask, or the input is not ``(B, N, dim)``.
        """
        refuse_mask(attn_mask, is_causal)
        return self._attend(self._tokens(x))

    def _attend(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``."""
        if not self._multiplies_weights():
            a = self._drop_within(self._logits(x))  # (B, N, h, S)
            y = self.output(self.value_memory(a).flatten(2))  # (B, N, c*d) -> (B, N, d)
        elif goes_inside(self.dropout, x) and can_fuse(x, self.query.weight, self.output.weight):
            drawn = self.dropout.draw()
            y = fused_attention(x, self._w_in(), self._w_out(), self.heads, *drawn)
            y = y + self._bias().to(y.dtype)
        else:
            a = self._drop_within(self._logits(x))  # (B, N, h, S)
            y = F.linear(a.flatten(2), self._w_out(), self._bias())  # (B, N, h*S) -> (B, N, d)
        dropped: Tensor = self.output_dropout(y)
        return dropped

    def _drop_within(self, logits: Tensor) -> Tensor:
        """Return the attention to each slot after dropout: ``(B, N, h, S)``, as the logits."""
        if goes_inside(self.dropout, logits):
            return double_normalize(logits, *self.dropout.draw())
        return cast(Tensor, self.dropout(double_normalize(logits)))

    def _multiplies_weights(self) -> bool:
        """Return whether neighbouring weights are multiplied before the tokens."""
        layers = (self.query, self.key_memory, self.value_memory, self.output)
        return self.weights_first and all(is_plain(layer, nn.Linear) for layer in layers)

    def _tokens(self, x: Tensor) -> Tensor:
        """Return what the layer is given as tokens ``(B, N, dim)``."""
        if x.ndim != 3 or x.shape[2] != self.dim:
            raise ValueError(
                f"external attention takes tokens (B, N, {self.dim}), not {tuple(x.shape)}"
            )
        return x

    def _w_in(self) -> Tensor:
        """Return ``W_q M_k`` of every head: ``(h*S, d)``."""
        w_q = self.query.weight.view(self.heads, self.head_dim, self.dim)  # (h, c*d/h, d)
        return (self.key_memory.weight @ w_q).flatten(0, 1)  # (h, S, d) -> (h*S, d)

    def _w_out(self) -> Tensor:
        """Return ``M_v W_o`` of every head: ``(d, h*S)``."""
        w_o = self.output.weight.view(self.dim, self.heads, self.head_dim)  # (d, h, c*d/h)
        return (w_o @ self.value_memory.weight).flatten(1)  # (d, h, S) -> (d, h*S)

    def _bias(self) -> Tensor:
        """Return the bias of the result, including the part from ``M_v``: ``(d,)``."""
        bias: Tensor = self.output.bias
        if self.value_memory.bias is None:
            return bias
        w_o = self.output.weight.view(self.dim, self.heads, self.head_dim)  # (d, h, c*d/h)
        return bias + w_o.sum(1) @ self.value_memory.bias

    def extra_repr(self) -> str:
        """Return the settings that ``print(model)`` shows."""
        return f"dim={self.dim}, heads={self.heads}, slots={self.slots}, head_dim={self.head_dim}"


class ExternalAttention2d(ExternalAttention):
    """`ExternalAttention` for feature maps: ``(B, C, H, W)`` in and out, with ``dim`` = C.

    Every pixel is a token; `logits`, `attention` and `attention_maps` take feature maps as well and
    tell of the N = H*W tokens in row-major order.

    Examples:
        >>> import torch
        >>> attention = eanet.ExternalAttention2d(dim=96)
        >>> attention(torch.randn(2, 96, 16, 16)).shape
        torch.Size([2, 96, 16, 16])
    """

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Map feature maps ``(B, C, H, W)`` to ``(B, C, H, W)``; raises as `ExternalAttention`."""
        refuse_mask(attn_mask, is_causal)
        tokens = self._attend(self._tokens(x))  # (B, H*W, C)
        maps: Tensor = tokens.mT.unflatten(2, x.shape[2:])  # (B, C, H, W), in channels-last order
        is_last = x.stride(1) == 1  # `is_contiguous` for an order is not there inside of vmap
        return maps if is_last else maps.contiguous()

    def _tokens(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.dim:
            raise ValueError(
                f"external attention takes feature maps (B, {self.dim}, H, W), not {tuple(x.shape)}"
            )
        tokens: Tensor = x.flatten(2).mT  # (B, C, H, W) -> (B, H*W, C)
        return tokens
