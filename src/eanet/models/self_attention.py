"""Multi-head self-attention, the baseline that external attention is compared with.

Vaswani et al., 2017, "Attention Is All You Need", arXiv 1706.03762, section 3.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eanet.models.attention_maps import AttentionMaps
from eanet.models.attention_mask import refuse_mask
from eanet.models.dropout import Dropout, goes_inside
from eanet.ops import kernels
from eanet.ops.dispatch import is_jit_traced, is_plain, needs_formulas, needs_gradient
from eanet.ops.self_attention import fused_self_attention

# Tokens from which PyTorch's attention without dropout is used on a CPU: in float32 it is faster,
# in bfloat16 not yet, but its memory does not grow with their square.
OWN_BELOW, OWN_BELOW_IN_BFLOAT16 = 1024, 8192
# Rows of the (N, N) map that `attention_maps` holds in memory at a time.
QUERIES_AT_A_TIME = 256


class SelfAttention(nn.Module):
    """Attention of tokens to each other: ``(B, N, dim)`` in and out, quadratic in N.

    Where PyTorch's own attention computes it (on GPUs, and on CPUs without dropout from 1024 tokens
    on, with compiled kernels in bfloat16 from 8192), a second derivative needs
    `torch.nn.attention.sdpa_kernel` with ``SDPBackend.MATH``.

    Args:
        dim: width of the tokens.
        heads: number of heads.
        head_dim: width of each head; ``dim / heads`` unless given.
        dropout: probability of dropping an entry of the attention map.
        output_dropout: probability of dropping an entry of the result.

    Raises:
        ValueError: no ``head_dim`` is given and the heads do not divide ``dim``.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        head_dim: int | None = None,
        *,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if head_dim is None and dim % heads:
            raise ValueError(f"heads={heads} must divide dim={dim}, or head_dim be given")
        self.heads = heads
        self.head_dim = head_dim or dim // heads
        self.dropout = Dropout(dropout)
        self.qkv = nn.Linear(dim, 3 * heads * self.head_dim)
        self.output = nn.Linear(heads * self.head_dim, dim)
        self.output_dropout = Dropout(output_dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise weights to Glorot uniform, separately for q, k and v, and biases to zero."""
        for weight in (*self.qkv.weight.chunk(3), self.output.weight):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``.

        The other arguments are those that blocks of other libraries pass to any attention.

        Raises:
            ValueError: there is a mask.
        """
        refuse_mask(attn_mask, is_causal)
        q, k, v = self._qkv(x)
        if goes_inside(self.dropout, q) and self._prefers_own(q):
            drawn = self.dropout.draw()
            y = fused_self_attention(q * self.head_dim**-0.5, k, v, *drawn)  # (B, h, N, k)
        elif not is_plain(self.dropout, Dropout) or self._needs_all_formulas(q):
            a = (q * self.head_dim**-0.5 @ k.transpose(-2, -1)).softmax(dim=-1)  # (B, h, N, N)
            y = self.dropout(a) @ v  # (B, h, N, k)
        else:
            y = F.scaled_dot_product_attention(
                q, k, v, dropout_p=self.dropout.p * self.dropout.training
            )
        y = self.output(y.transpose(1, 2).flatten(2))  # (B, h, N, k) -> (B, N, h*k) -> (B, N, d)
        dropped: Tensor = self.output_dropout(y)
        return dropped

    def attention_maps(self, x: Tensor) -> AttentionMaps:
        """Return the mean attention that each token of ``(B, N, dim)`` receives in each head.

        A head's contribution is the norm of what it adds to each token, less the mean over tokens.
        """
        q, k, v = self._qkv(x)
        received, values = k.new_zeros(k.shape[:3]), []  # (B, h, N)
        for part in q.split(QUERIES_AT_A_TIME, dim=2):
            scores = part * self.head_dim**-0.5 @ k.transpose(-2, -1)  # (B, h, part, N)
            a = scores.softmax(dim=-1)
            received += a.sum(dim=2)
            values.append(a @ v)  # (B, h, part, k)
        y = torch.cat(values, dim=2)  # (B, h, N, k)
        y = y - y.mean(dim=2, keepdim=True)
        added = torch.stack([self._added(y, head) for head in range(self.heads)], 1)  # (B, h)
        return AttentionMaps.of((received / x.shape[1]).unsqueeze(2), added.unsqueeze(2))

    def _added(self, y: Tensor, head: int) -> Tensor:
        """Return the norm of what one head of ``(B, h, N, k)`` adds, over all tokens: ``(B,)``."""
        alone = torch.zeros_like(y)
        alone[:, head] = y[:, head]
        tokens = alone.transpose(1, 2).flatten(2)  # (B, h, N, k) -> (B, N, h*k)
        without = self.output(torch.zeros_like(tokens[:1, :1]))  # its bias
        norms: Tensor = (self.output(tokens) - without).norm(dim=-1)  # (B, N)
        return norms.sum(dim=1)

    def _prefers_own(self, q: Tensor) -> bool:
        """Return whether to use `fused_self_attention`.

        It is faster with dropout and, with compiled kernels, in bfloat16. In float32 it trains
        about as fast as PyTorch's attention, but has second derivatives.
        """
        if self.dropout.training and self.dropout.p:
            return True
        if q.dtype == torch.bfloat16 and kernels.library() is not None:
            return q.shape[2] < OWN_BELOW_IN_BFLOAT16
        return q.shape[2] < OWN_BELOW and (self.training or needs_gradient(q))

    def _needs_all_formulas(self, q: Tensor) -> bool:
        """Return whether PyTorch's attention does not support what follows the computation.

        It can be traced, but `torch.func` differentiates it only once, forward mode not at all.
        """
        return needs_formulas(q) and not is_jit_traced()

    def _qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each ``(B, h, N, k)``."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, self.head_dim))  # (B, N, 3, h, k)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return q, k, v
