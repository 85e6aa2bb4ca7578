"""The image classifier: normalisation, tokens, blocks, pooling, head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

from torch import Tensor, nn

from eanet.model_files.config import ModelConfig
from eanet.model_files.hub_library import ModelCard, ModelHubMixin
from eanet.models.attention_maps import AttentionMaps
from eanet.models.block import Block
from eanet.models.card import TEMPLATE
from eanet.models.embedding import Normalization, PatchEmbedding
from eanet.models.pooling import MeanPooling
from eanet.models.tokenizer import ConvTokenizer
from eanet.models.unknown import UnknownDetector
from eanet.models.views import views_of
from eanet.text import in_markdown


class Classifier(
    nn.Module,
    ModelHubMixin,
    library_name="eanet",
    tags=["image-classification", "external-attention"],
    license="apache-2.0",
    model_card_template=TEMPLATE,
):
    """Raw pixels in, one logit per class out.

    Args:
        config: name, image size, channels and classes.
        embedding: maps normalised images ``(B, C, H, W)`` to tokens ``(B, N, dim)``.
        blocks: each maps ``(B, N, dim)`` to ``(B, N, dim)``.
        dim: width of the tokens.
        norm: applied to the last block's tokens; none by default.
        pooling: maps the tokens to one vector per image, ``(B, dim)``; the mean by default.

    Attributes:
        detector: of images that are unlike all it was trained on; None if there is none.
        views: in evaluation, the number of views of each image to average logits over: one of
            `eanet.config.VIEWS`.

    Examples:
        `eanet.create_model` and `eanet.load_model` make one.

        >>> import torch
        >>> model = eanet.create_model("eanet_nano", num_classes=3, image_size=32).eval()
        >>> pixels = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
        >>> model(pixels).shape, model.forward_features(pixels).shape[0]
        (torch.Size([2, 3]), 2)
    """

    def __init__(
        self,
        config: ModelConfig,
        embedding: PatchEmbedding | ConvTokenizer,
        blocks: Sequence[Block],
        dim: int,
        norm: nn.Module | None = None,
        pooling: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        grey = [127.5] * config.in_channels
        self.normalization = Normalization(grey, grey)
        self.embedding: PatchEmbedding | ConvTokenizer = embedding
        self.blocks = nn.Sequential(*blocks)
        self.norm = norm or nn.Identity()
        self.pooling = pooling or MeanPooling()
        self.head = nn.Linear(dim, len(config.classes))
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.detector: UnknownDetector | None = None  # fitted to a trained model
        self.views = 1
        self.source: Path | None = None  # the file that it was loaded from

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, in the order of the logits."""
        return self.config.classes

    @property
    def num_parameters(self) -> int:
        """Number of parameters, frozen ones included; normalisation statistics are not counted."""
        return sum(p.numel() for p in self.parameters())

    def forward_features(self, images: Tensor) -> Tensor:
        """Map raw pixels ``(B, C, H, W)``, 0..255, uint8 or floating, to tokens ``(B, N, dim)``.

        Raises:
            ValueError: the images are not of the size and channels that the model was built for.
        """
        tokens: Tensor = self.norm(self.blocks(self._embed(images)))
        return tokens

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """Indices of the blocks with attention, from 0."""
        blocks = enumerate(cast(Sequence[Block], self.blocks))
        return tuple(i for i, block in blocks if block.attention is not None)

    def attention_maps(self, images: Tensor, layer: int) -> AttentionMaps:
        """Return what the attention of a block attends to in raw pixels ``(B, C, H, W)``.

        Args:
            images: as for `forward_features`.
            layer: one of `attention_layers`.

        Raises:
            ValueError: the images are not of the size and channels that the model was built for, or
                the block has no attention.
        """
        x = self.blocks[:layer](self._embed(images))  # (B, N, d)
        return cast(Block, self.blocks[layer]).attention_maps(x)

    def _embed(self, images: Tensor) -> Tensor:
        """Map raw pixels ``(B, C, H, W)`` to the first block's tokens ``(B, N, dim)``."""
        size = self.config.image_size
        if images.ndim != 4 or images.shape[1:] != (self.config.in_channels, size, size):
            raise ValueError(
                f"{self.config.name} takes images (B, {self.config.in_channels}, {size}, {size}), "
                f"not {tuple(images.shape)}"
            )
        normalized = self.normalization(images).to(self.embedding.position.dtype)
        tokens: Tensor = self.embedding(normalized)
        return tokens

    def pooled_features(self, images: Tensor) -> Tensor:
        """Map raw pixels ``(B, C, H, W)`` to what the head takes, one vector an image, (B, dim)."""
        features: Tensor = self.pooling(self.forward_features(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map raw pixels ``(B, C, H, W)``, 0..255, uint8 or floating, to logits ``(B, K)``."""
        return self._logits(images)[0]

    def forward_with_distance(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Like `forward`, also with the detector's distances ``(B,)``, if there is a detector."""
        logits, features = self._logits(images)
        return logits, None if self.detector is None else self.detector(features)

    def _logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits ``(B, K)`` and the features ``(B, dim)`` of the images themselves."""
        if self.training or self.views == 1:
            features = self.pooled_features(images)
            return self.head(features), features
        features = self.pooled_features(views_of(images, self.views))  # (V * B, dim)
        logits = self.head(features).unflatten(0, (self.views, -1))  # (V, B, K)
        return logits.mean(0), features.unflatten(0, (self.views, -1))[0]

    def train(self, mode: bool = True) -> Self:
        """As of any module, but batch normalisation with frozen weights keeps its statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
                module.train(mode and module.weight.requires_grad)
        return self

    def generate_model_card(self, *args: Any, **fields: Any) -> ModelCard:
        """Return the card that `save_pretrained` writes; ``fields`` are for its template."""
        from eanet.models.hub import exported_file

        has_file = exported_file(self) is not None
        names = [in_markdown(name) for name in self.classes]
        known = {"model": self, "names": names, "repo_id": None, "has_exported_file": has_file}
        return super().generate_model_card(*args, **{**known, **fields})

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: Any = None, **options: Any) -> str:
        """Upload the model with its card; arguments as for `ModelHubMixin.push_to_hub`."""
        fields = {"repo_id": repo_id, **(model_card_kwargs or {})}
        return super().push_to_hub(repo_id, model_card_kwargs=fields, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        from eanet.models.hub import save_pretrained

        save_pretrained(self, save_directory)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **options: Any
    ) -> Classifier:
        """Load a model; ``options`` are those of `load_model` and `hf_hub_download`."""
        from eanet.models.hub import load_pretrained

        return load_pretrained(pretrained_model_name_or_path, **options)
