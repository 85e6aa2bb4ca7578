"""External attention with separate memories for each head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eanet.models.external_attention import ExternalAttention


class HeadwiseExternalAttention(ExternalAttention):
    """`ExternalAttention` with key and value memories for each head instead of shared ones.

    With equal memories in all heads, it is `ExternalAttention`. Neighbouring weights are always
    multiplied first, before the tokens, because the memories of the heads then form one matrix.

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
        self.weights_first = True
        self.key_memory = nn.Linear(self.head_dim, heads * slots, bias=False)
        self.value_memory = nn.Linear(heads * slots, self.head_dim, bias=False)
        for weight, dim_of_heads in ((self.key_memory.weight, 0), (self.value_memory.weight, 1)):
            for memory in weight.chunk(heads, dim_of_heads):
                nn.init.xavier_uniform_(memory)

    def _match(self, q: Tensor) -> Tensor:
        logits = self.key_memory(q).unflatten(-1, (self.heads, self.slots))  # (B, N, h, h, S)
        own: Tensor = logits.diagonal(dim1=2, dim2=3).mT  # (B, N, S, h) -> (B, N, h, S)
        return own

    def _read(self, a: Tensor) -> Tensor:
        own = torch.diag_embed(a.mT).permute(0, 1, 3, 4, 2)  # (B, N, S, h, h) -> (B, N, h, h, S)
        read: Tensor = self.value_memory(own.flatten(3))  # (B, N, h, h*S) -> (B, N, h, c*d/h)
        return read

    def _w_in(self) -> Tensor:
        w_q = self.query.weight.view(self.heads, self.head_dim, self.dim)  # (h, c*d/h, d)
        m_k = self.key_memory.weight.view(self.heads, self.slots, self.head_dim)  # (h, S, c*d/h)
        return (m_k @ w_q).flatten(0, 1)  # (h, S, d) -> (h*S, d)

    def _w_out(self) -> Tensor:
        w_o = self.output.weight.view(self.dim, self.heads, self.head_dim)  # (d, h, c*d/h)
        m_v = self.value_memory.weight.view(self.head_dim, self.heads, self.slots)  # (c*d/h, h, S)
        return torch.einsum("dhk,khs->dhs", w_o, m_v).flatten(1)  # (d, h*S)
