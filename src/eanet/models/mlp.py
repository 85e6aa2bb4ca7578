"""The MLP of a transformer block."""

from __future__ import annotations

from torch import Tensor, nn

from eanet.models.dropout import Dropout
from eanet.models.gelu import GELU


class MLP(nn.Module):
    """Two linear layers with GELU (tanh form) between them: ``(B, N, dim)`` in and out.

    Vaswani et al., 2017, "Attention Is All You Need", arXiv 1706.03762, section 3.3; dropout after
    each layer as in Dosovitskiy et al., 2020, "An Image Is Worth 16x16 Words", arXiv 2010.11929.

    Args:
        dim: width of the tokens, in and out.
        hidden_dim: width between the linear layers.
        dropout: probability of dropping an entry, after GELU and after the second layer.
        conv: applied before GELU, ``(B, N, hidden_dim)`` in and out; none by default.

    Raises:
        ValueError: ``dropout`` is not at least 0 and below 1.
    """

    def __init__(
        self, dim: int, hidden_dim: int, dropout: float = 0.0, conv: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.conv = nn.Identity() if conv is None else conv
        self.act = GELU()
        self.drop1 = Dropout(dropout)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.drop2 = Dropout(dropout)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to ``(B, N, dim)``."""
        hidden = self.drop1(self.act(self.conv(self.fc1(x))))  # (B, N, hidden_dim)
        result: Tensor = self.drop2(self.fc2(hidden))
        return result
