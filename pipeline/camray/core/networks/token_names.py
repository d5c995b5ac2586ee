"""Published names of vision transformers' weights, turned into DINOv2's, which are ours.

DINO and DINOv2 (their authors' names), RAD-DINO (those of Hugging Face's DINOv2) and EVA-X (those of EVA-02's authors,
and of timm). Separate weights of query, key and value become one tensor, and position embeddings of another grid are
resized.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from camray.core.networks.token_positions import resized_positions

_PREFIX = re.compile(r"^(?:module\.|model\.|backbone\.|dinov2\.|visual\.trunk\.|visual\.)+")
_RENAMES = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.cls_token$", "cls_token"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
        (r"\.attn\.([qv])_bias$", r".attn.\1_proj.bias"),
        (r"\.attn\.q_proj\.", ".attn.query."),
        (r"\.attn\.k_proj\.", ".attn.key."),
        (r"\.attn\.v_proj\.", ".attn.value."),
        (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
        (r"\.mlp\.w12\.", ".mlp.fc1."),
        (r"\.mlp\.w3\.", ".mlp.fc2."),
        (r"^(?:layernorm|fc_norm)\.", "norm."),
    )
)
_PARTS = ("query", "key", "value")


def with_our_names(given: Mapping[str, Tensor], positions: Tensor) -> dict[str, Tensor]:
    """Rename and join the weights of a vision transformer.

    Parameters
    ----------
    given : mapping of str to Tensor
        State dict with any of the published names.
    positions : Tensor of shape (1, 1 + n * n, C)
        Our position embedding, whose grid the file's is resized to.

    Returns
    -------
    dict of str to Tensor
        Without prefixes; tensors without a counterpart keep their names.

    Notes
    -----
    A bias of query and value alone, as in EVA-02, is completed by zeros for the key.
    """
    named = {_renamed(name): value for name, value in given.items()}
    for kind in ("weight", "bias"):
        stems = {match[1] for name in named if (match := re.match(rf"(.*\.attn\.)(?:query|value)\.{kind}$", name))}
        for stem in stems:
            found = [named.get(f"{stem}{part}.{kind}") for part in _PARTS]
            if found[0] is None or found[2] is None or (found[1] is None and kind == "weight"):
                continue  # reported as missing and unused
            parts = [torch.zeros_like(found[0]) if part is None else part for part in found]
            joined = {f"{stem}{part}.{kind}" for part in _PARTS}
            named = {name: value for name, value in named.items() if name not in joined}
            named[f"{stem}qkv.{kind}"] = torch.cat(parts)
    theirs = named.get("pos_embed")
    if theirs is not None and _is_square(theirs) and theirs.shape[2:] == positions.shape[2:]:
        side = round((positions.shape[1] - 1) ** 0.5)
        named["pos_embed"] = resized_positions(theirs.float(), side, side)
    return named


def _renamed(name: str) -> str:
    name = _PREFIX.sub("", name)
    for theirs, ours in _RENAMES:
        name = theirs.sub(ours, name)
    return name


def _is_square(embedding: Tensor) -> bool:
    return embedding.ndim == 3 and round((embedding.shape[1] - 1) ** 0.5) ** 2 == embedding.shape[1] - 1
