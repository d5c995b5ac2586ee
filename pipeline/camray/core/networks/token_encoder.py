"""Vision transformers (Dosovitskiy et al., ICLR 2021) up to their last normalisation: a map of patch tokens.

Names and shapes in the state dict are DINOv2's (Oquab et al., TMLR 2024); `token_names` turns others into them. A
linear layer on the tokens keeps the seam: ``mean(CAM) + bias == logit`` after an average pool. The class token takes
part in the attention and is not read.
"""

from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu

from camray.core.networks.token_positions import resized_positions, rotary_angles, rotated
from camray.domain.contract import NetworkSpec

_EPSILON = 1e-6
_STD = 0.02  # of fresh weights, as in all these networks


@dataclass(frozen=True)
class EncoderShape:
    """Size of a vision transformer.

    Parameters
    ----------
    width, blocks, heads : int
        Channels of a token, blocks, and heads of the attention; width / heads is a multiple of 4.
    patch : int
        Side of a patch, px.
    side : int
        Patches along a side of the square grid of the position embedding.
    hidden : int
        Channels between the two layers of a block's perceptron.
    is_eva : bool
        As EVA-02: rotary positions besides the embedding, and a gated perceptron.
    """

    width: int
    blocks: int
    heads: int
    patch: int
    side: int
    hidden: int
    is_eva: bool = False


SHAPES: Final = {
    "vit_s16": EncoderShape(384, 12, 6, 16, 14, 1536),
    "vit_b14": EncoderShape(768, 12, 12, 14, 37, 3072),
    "eva_x_s16": EncoderShape(384, 12, 6, 16, 14, 1024, is_eva=True),
}


class Attention(nn.Module):
    """Self-attention of several heads.

    Parameters
    ----------
    width, heads : int
        Channels of a token, and heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, angles: Tensor | None) -> Tensor:
        """Attend.

        Parameters
        ----------
        tokens : Tensor of shape (B, 1 + N, C), float
            Class token first.
        angles : Tensor of shape (N, C/heads/2), float, optional
            Rotary positions of the others, radians.

        Returns
        -------
        Tensor of shape (B, 1 + N, C), float
            One value per token.
        """
        batch, count, width = tokens.shape
        parts = self.qkv(tokens).reshape(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        if angles is not None:
            query, key = rotated(query, angles), rotated(key, angles)
        mixed = scaled_dot_product_attention(query, key, value)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).reshape(batch, count, width)))


class Perceptron(nn.Module):
    """The two layers of a block after the attention.

    Parameters
    ----------
    shape : EncoderShape
        GELU in between; gated by SiLU (Shazeer 2020) where it is EVA's.
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.is_gated = shape.is_eva
        self.fc1 = nn.Linear(shape.width, shape.hidden * (2 if shape.is_eva else 1))
        self.fc2 = nn.Linear(shape.hidden, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform each token.

        Parameters
        ----------
        tokens : Tensor of shape (B, N, C), float
            Normalised.

        Returns
        -------
        Tensor of shape (B, N, C), float
            One value per token.
        """
        wide = self.fc1(tokens)
        if self.is_gated:
            gate, content = wide.chunk(2, dim=-1)
            return cast(Tensor, self.fc2(silu(gate) * content))
        return cast(Tensor, self.fc2(gelu(wide)))


class LayerScale(nn.Module):
    """A learned factor per channel; 1 at the start, and in networks without it.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scale tokens.

        Parameters
        ----------
        tokens : Tensor of shape (B, N, C), float
            Of the network's width.

        Returns
        -------
        Tensor of shape (B, N, C), float
            Channel by channel times its factor.
        """
        return tokens * self.gamma


class Block(nn.Module):
    """Attention and perceptron, each normalised before, scaled, and added to its input.

    Parameters
    ----------
    shape : EncoderShape
        Of the network.
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, _EPSILON)
        self.attn = Attention(shape.width, shape.heads)
        self.ls1 = LayerScale(shape.width)
        self.norm2 = nn.LayerNorm(shape.width, _EPSILON)
        self.mlp = Perceptron(shape)
        self.ls2 = LayerScale(shape.width)

    def forward(self, tokens: Tensor, angles: Tensor | None) -> Tensor:
        """Compute the block.

        Parameters
        ----------
        tokens : Tensor of shape (B, 1 + N, C), float
            Class token first.
        angles : Tensor of shape (N, C/heads/2), float, optional
            Rotary positions of the others, radians.

        Returns
        -------
        Tensor of shape (B, 1 + N, C), float
            One value per token.
        """
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), angles))
        return cast(Tensor, tokens + self.ls2(self.mlp(self.norm2(tokens))))


class TokenEncoder(nn.Module):
    """A vision transformer whose map is its normalised patch tokens.

    Parameters
    ----------
    shape : EncoderShape
        Its size.
    in_channels : int
        Channels of the input.
    """

    def __init__(self, shape: EncoderShape, in_channels: int) -> None:
        super().__init__()
        self.shape = shape
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + shape.side**2, shape.width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(in_channels, shape.width, shape.patch, shape.patch)})
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width, _EPSILON)
        nn.init.trunc_normal_(self.pos_embed, std=_STD)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=_STD)
                nn.init.zeros_(part.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature map.

        Parameters
        ----------
        x : Tensor of shape (B, C, H, W), float
            Normalised, model grid; H and W multiples of the patch.

        Returns
        -------
        Tensor of shape (B, K, H/patch, W/patch), float
            Of either sign: token by token normalised over its channels.
        """
        patches = self.patch_embed["proj"](x)
        rows, cols = map(int, patches.shape[2:])
        at = resized_positions(self.pos_embed, rows, cols)
        tokens = patches.flatten(2).transpose(1, 2) + at[:, 1:]
        tokens = torch.cat([(self.cls_token + at[:, :1]).expand(x.shape[0], -1, -1).to(tokens.dtype), tokens], dim=1)
        angles = rotary_angles(self.shape.width // self.shape.heads, self.shape.side, rows, cols).to(x)
        for block in self.blocks:
            tokens = block(tokens, angles if self.shape.is_eva else None)
        return cast(Tensor, self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, (rows, cols)))


def token_encoder(spec: NetworkSpec, in_channels: int) -> tuple[nn.Module, int]:
    """Build a vision transformer with fresh weights.

    Parameters
    ----------
    spec : NetworkSpec
        Its backbone one of `SHAPES`.
    in_channels : int
        Channels of the input.

    Returns
    -------
    (nn.Module, int)
        The network, and the channels of its map.
    """
    shape = SHAPES[spec.backbone]
    return TokenEncoder(shape, in_channels), shape.width
