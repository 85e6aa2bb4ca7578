"""External attention whose memory each image writes to before its tokens read it.

Tokens read the learned memory plus what the tokens of their image have written. This passes content
between tokens at a cost linear in their number. Gathering into a few slots and distributing from
them follows Chen et al., 2018, "A^2-Nets: Double Attention Networks", arXiv 1810.11579, section 3;
learned queries for the slots follow Lee et al., 2019, "Set Transformer", arXiv 1810.00825,
section 3.1 (induced set attention).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from eanet.models.external_attention import ExternalAttention
from eanet.ops.dispatch import is_plain


class WrittenExternalAttention(ExternalAttention):
    """`ExternalAttention` to a value memory that the image has written to.

    With logits l and map a as in `ExternalAttention`::

        G = softmax over tokens of l, transposed, times x W_v       (B, h, S, c*dim/h)
        y = (a (M_v + gate * G)) W_o                                 (B, N, dim)

    The gate is one number per head and slot. At its initial 0, this is exactly `ExternalAttention`.

    Takes the arguments of `ExternalAttention`, except ``all_biases``.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        slots: int = 64,
        coefficient: int = 4,
        *,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, heads, slots, coefficient, dropout=dropout, output_dropout=output_dropout
        )
        # No bias: it would only add a constant to the memory.
        self.value = nn.Linear(dim, coefficient * dim, bias=False)
        self.gate = nn.Parameter(torch.zeros(heads, slots))
        nn.init.xavier_uniform_(self.value.weight)

    def _attend(self, x: Tensor) -> Tensor:
        logits = self._logits(x)  # (B, N, h, S)
        memory = self._memory(x, logits)  # (B, h, S, c*d/h)
        a = self._drop_within(logits)  # (B, N, h, S)
        y = torch.einsum("bnhs,bhsk->bnhk", a, memory)
        dropped: Tensor = self.output_dropout(self.output(y.flatten(2)))  # (B, N, c*d) -> (B, N, d)
        return dropped

    def slot_outputs(self, x: Tensor) -> Tensor:
        """Return the result of attending to one slot only, without biases: ``(B, h, S, d)``."""
        memory = self._memory(x, self.logits(x))  # (B, h, S, c*d/h)
        one_hot = torch.eye(self.heads * self.slots, dtype=memory.dtype, device=memory.device)
        a = one_hot.unflatten(1, (self.heads, self.slots))  # (h*S, h, S)
        read = torch.einsum("nhs,bhsk->bnhk", a, memory).flatten(2)  # (B, h*S, c*d)
        added: Tensor = self.output(read) - self.output(torch.zeros_like(read[:1, :1]))
        # (B, h*S, d) -> (B, h, S, d)
        return cast(Tensor, added.unflatten(1, (self.heads, self.slots)))

    def _memory(self, x: Tensor, logits: Tensor) -> Tensor:
        """Return the value memory after the image has written to it: ``(B, h, S, c*d/h)``."""
        values = self.value(x).unflatten(-1, (self.heads, self.head_dim))  # (B, N, h, c*d/h)
        gathered = torch.einsum("bnhs,bnhk->bhsk", logits.softmax(dim=1), values)
        if is_plain(self.value_memory, nn.Linear):
            learned = self.value_memory.weight.T  # (S, c*d/h)
        else:  # what each slot by itself gives
            one_hot = torch.eye(self.slots, dtype=gathered.dtype, device=gathered.device)
            learned = self.value_memory(one_hot)
        memory: Tensor = learned + self.gate.unsqueeze(-1) * gathered
        return memory
