"""Vision transformers: small ones against the papers' equations, and state dicts with published names and shapes."""

import cmath
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from camray.core.explain.cam import gradient_weighted, summed_gradients
from camray.core.explain.methods import METHODS
from camray.core.explain.seam import forward
from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.networks.token_encoder import SHAPES, EncoderShape, TokenEncoder
from camray.core.networks.token_positions import resized_positions, rotary_angles, rotated
from camray.core.networks.weights import load_starting_weights
from camray.domain.contract import TOKEN_STRIDES, NetworkSpec
from camray.domain.errors import CheckpointError

SMALL = EncoderShape(width=8, blocks=2, heads=2, patch=4, side=3, hidden=12)
SMALL_EVA = EncoderShape(width=8, blocks=2, heads=2, patch=4, side=3, hidden=6, is_eva=True)
Shapes = dict[str, tuple[int, ...]]


def _encoder(shape: EncoderShape) -> TokenEncoder:
    network = TokenEncoder(shape, 1).double().eval()
    generator = torch.Generator().manual_seed(5)
    for value in network.parameters():
        nn.init.normal_(value, std=0.5, generator=generator)
    return network


def _normalised(token: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (token - token.mean()) / math.sqrt(token.var() + 1e-6) * weight + bias


def _by_hand(network: TokenEncoder, film: np.ndarray) -> np.ndarray:
    """Compute the map token by token and head by head, on the embedding's own grid of 3 x 3 patches."""
    w = {name: value.detach().numpy() for name, value in network.named_parameters()}
    shape, side = network.shape, network.shape.side
    tokens = [w["cls_token"][0, 0] + w["pos_embed"][0, 0]]
    for place in range(side * side):
        row, col = divmod(place, side)
        patch = film[row * 4 : row * 4 + 4, col * 4 : col * 4 + 4]
        embedded = (w["patch_embed.proj.weight"][:, 0] * patch).sum(axis=(1, 2)) + w["patch_embed.proj.bias"]
        tokens.append(embedded + w["pos_embed"][0, 1 + place])
    for number in range(shape.blocks):
        at = f"blocks.{number}."
        normed = [_normalised(t, w[f"{at}norm1.weight"], w[f"{at}norm1.bias"]) for t in tokens]
        qkv = [w[f"{at}attn.qkv.weight"] @ t + w[f"{at}attn.qkv.bias"] for t in normed]
        mixed = [np.concatenate([_attended(qkv, i, head, shape) for head in (0, 1)]) for i in range(len(tokens))]
        attended = [w[f"{at}attn.proj.weight"] @ m + w[f"{at}attn.proj.bias"] for m in mixed]
        tokens = [t + w[f"{at}ls1.gamma"] * a for t, a in zip(tokens, attended, strict=True)]
        for i, token in enumerate(tokens):
            wide = w[f"{at}mlp.fc1.weight"] @ _normalised(token, w[f"{at}norm2.weight"], w[f"{at}norm2.bias"])
            wide = wide + w[f"{at}mlp.fc1.bias"]
            if shape.is_eva:
                wide = wide[:6] / (1 + np.exp(-wide[:6])) * wide[6:]
            else:
                wide = np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in wide])
            out = w[f"{at}mlp.fc2.weight"] @ wide + w[f"{at}mlp.fc2.bias"]
            tokens[i] = token + w[f"{at}ls2.gamma"] * out
    final = [_normalised(t, w["norm.weight"], w["norm.bias"]) for t in tokens[1:]]
    return np.stack(final, axis=1).reshape(8, side, side)


def _attended(qkv: list[np.ndarray], i: int, head: int, shape: EncoderShape) -> np.ndarray:
    query, keys, values = (
        [t[8 * part + 4 * head : 8 * part + 4 * head + 4] for t in qkv] for part in range(3)
    )  # 8 channels each of query, key and value; 4 of a head
    if shape.is_eva:
        query, keys = ([_turned(t, place - 1, shape.side) for place, t in enumerate(each)] for each in (query, keys))
    scores = np.array([query[i] @ key / 2 for key in keys])  # root of 4 channels
    shares = np.exp(scores - scores.max())
    return (shares / shares.sum()) @ np.array(values)


def _turned(channels: np.ndarray, place: int, side: int) -> np.ndarray:
    """Two pairs of channels as complex numbers: one turns with the row, one with the column; one frequency, 1."""
    if place < 0:
        return channels
    turned = [
        complex(*channels[2 * i : 2 * i + 2]) * cmath.exp(1j * position)
        for i, position in enumerate(divmod(place, side))
    ]
    return np.array([part for number in turned for part in (number.real, number.imag)])


@pytest.mark.parametrize("shape", [SMALL, SMALL_EVA])
def test_a_small_encoder_equals_the_equations(shape: EncoderShape) -> None:
    network = _encoder(shape)
    film = torch.rand(1, 1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = network(film)
    assert found.shape == (1, 8, 3, 3)
    np.testing.assert_allclose(found[0], _by_hand(network, film[0, 0].numpy()), rtol=0, atol=1e-10)


def test_rotary_angles_by_hand() -> None:
    # 16 channels per head: 4 frequencies 1, 1/10, 1/100, 1/1000; positions of 2 x 4 patches scaled to a side of 3
    angles = rotary_angles(16, 3, 2, 4)
    assert angles.shape == (8, 8)
    row, col = 1 / 2 * 3, 3 / 4 * 3  # the last patch
    assert angles[7].tolist() == pytest.approx([row / 10**i for i in range(4)] + [col / 10**i for i in range(4)])
    assert angles[3, :4].tolist() == [0.0] * 4


def test_a_quarter_turn_takes_the_first_channel_to_the_second() -> None:
    values = torch.tensor([[[[5.0, 7.0], [1.0, 0.0]]]])
    turned = rotated(values, torch.tensor([[math.pi / 2]]))
    assert turned[0, 0, 0].tolist() == [5.0, 7.0]  # the class token
    assert turned[0, 0, 1].tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_positions_are_resized_about_the_corner_and_not_transposed() -> None:
    grid = torch.arange(4.0)[:, None].expand(4, 4) * 10 + torch.arange(4.0)  # 10 row + col
    embedding = torch.cat([torch.tensor([-1.0]), grid.flatten()])[None, :, None]
    assert resized_positions(embedding, 4, 4) is embedding
    resized = resized_positions(embedding, 8, 4)[0, :, 0]
    assert resized[0] == -1.0
    rows = resized[1:].reshape(8, 4)
    expected = nn.functional.interpolate(grid[None, None], size=(8, 4), mode="bicubic", align_corners=False)[0, 0]
    torch.testing.assert_close(rows, expected)
    assert (rows[1:] - rows[:-1]).min() > 0.5  # rows are apart by 10 before
    assert (rows[:, 1:] - rows[:, :-1]).flatten().tolist() == pytest.approx([1.0] * 24, abs=1e-4)  # not resized


def _classifier(backbone: str = "vit_s16", **options: object) -> PooledClassifier:
    spec = NetworkSpec(backbone=backbone, stride=TOKEN_STRIDES[backbone], **options)  # type: ignore[arg-type]
    model = build_classifier(spec, 2, seed=1).eval()
    nn.init.normal_(model.classifier.weight, std=0.1, generator=torch.Generator().manual_seed(2))
    nn.init.normal_(model.classifier.bias, generator=torch.Generator().manual_seed(3))
    return model


@pytest.mark.parametrize("backbone", SHAPES)
def test_mean_of_the_map_plus_bias_is_the_logit(backbone: str) -> None:
    model, stride = _classifier(backbone), TOKEN_STRIDES[backbone]
    films = torch.rand(2, 1, 2 * stride, 3 * stride, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        features = model.features(films)
        expected = model.cam(features).mean(dim=(2, 3)) + model.classifier.bias
        assert features.shape == (2, SHAPES[backbone].width, 2, 3)
        torch.testing.assert_close(model(films), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(model(films[1:]), expected[1:], rtol=0, atol=1e-5)


def test_methods_explain_tokens_or_refuse() -> None:
    model = _classifier().requires_grad_(False)
    passed = forward(model, torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(4)))
    expected = torch.einsum("blk,bkhw->blhw", summed_gradients(model, passed.features), passed.features)
    torch.testing.assert_close(gradient_weighted(model, passed), expected, rtol=1e-4, atol=1e-5)
    for name in ("hirescam", "layercam", "saliency", "occlusion"):
        heat = METHODS[name].signed(model, passed)
        assert heat.shape == (1, 2, 2, 3)
        assert heat.abs().sum() > 0
    with pytest.raises(CheckpointError, match="no rule for"):
        METHODS["guided_backprop"].signed(model, passed)


def _dino(width: int, patch: int, tokens: int, with_scale: bool) -> Shapes:
    """Return the names and shapes of DINO's and DINOv2's files."""
    shapes: Shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, tokens, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for number in range(12):
        at = f"blocks.{number}."
        for name in ("norm1", "norm2"):
            shapes |= {f"{at}{name}.weight": (width,), f"{at}{name}.bias": (width,)}
        sizes = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (out, into) in sizes.items():
            shapes |= {f"{at}{name}.weight": (out * width, into * width), f"{at}{name}.bias": (out * width,)}
        if with_scale:
            shapes |= {f"{at}ls1.gamma": (width,), f"{at}ls2.gamma": (width,)}
    return shapes


def _rad_dino() -> Shapes:
    """Return the names and shapes of RAD-DINO's file: ViT-B/14 for 518 px."""
    shapes: Shapes = {
        "embeddings.cls_token": (1, 1, 768),
        "embeddings.mask_token": (1, 768),
        "embeddings.position_embeddings": (1, 1370, 768),
        "embeddings.patch_embeddings.projection.weight": (768, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": (768,),
        "layernorm.weight": (768,),
        "layernorm.bias": (768,),
    }
    for number in range(12):
        at = f"encoder.layer.{number}."
        square = [f"attention.attention.{part}" for part in ("query", "key", "value")] + ["attention.output.dense"]
        for name in square:
            shapes |= {f"{at}{name}.weight": (768, 768), f"{at}{name}.bias": (768,)}
        for name, (out, into) in {"mlp.fc1": (3072, 768), "mlp.fc2": (768, 3072)}.items():
            shapes |= {f"{at}{name}.weight": (out, into), f"{at}{name}.bias": (out,)}
        for name in ("norm1", "norm2"):
            shapes |= {f"{at}{name}.weight": (768,), f"{at}{name}.bias": (768,)}
        shapes |= {f"{at}layer_scale1.lambda1": (768,), f"{at}layer_scale2.lambda1": (768,)}
    return shapes


def _eva_x() -> Shapes:
    """Return the names and shapes of EVA-X-S/16's file."""
    shapes = {
        name: shape
        for name, shape in _dino(384, 16, 197, with_scale=False).items()
        if ".mlp." not in name and not name.endswith("qkv.bias")
    }
    for number in range(12):
        at = f"blocks.{number}."
        shapes |= {f"{at}attn.q_bias": (384,), f"{at}attn.v_bias": (384,)}
        shapes |= {f"{at}mlp.w12.weight": (2048, 384), f"{at}mlp.w12.bias": (2048,)}
        shapes |= {f"{at}mlp.w3.weight": (384, 1024), f"{at}mlp.w3.bias": (384,)}
    return shapes | {"rope.freqs_cos": (196, 64), "rope.freqs_sin": (196, 64)}


def _filled(shapes: Shapes) -> dict[str, Tensor]:
    """Return tensors of these shapes, each of one value of its own."""
    return {name: torch.full(shape, number / 8 + 1) for number, (name, shape) in enumerate(shapes.items())}


@pytest.mark.parametrize(
    ("backbone", "shapes", "missing", "unused"),
    [
        ("vit_s16", lambda: _dino(384, 16, 197, with_scale=False), {"gamma"}, {"mask_token"}),
        ("vit_b14", lambda: _dino(768, 14, 1370, with_scale=True), set(), {"mask_token"}),
        ("vit_b14", _rad_dino, set(), {"embeddings.mask_token"}),
        ("eva_x_s16", _eva_x, {"gamma"}, {"mask_token", "rope.freqs_cos", "rope.freqs_sin"}),
    ],
)
def test_published_files_fill_every_weight(
    backbone: str, shapes: Callable[[], Shapes], missing: set[str], unused: set[str]
) -> None:
    model, given = _classifier(backbone), _filled(shapes())
    report = load_starting_weights(model, {f"module.{name}": value for name, value in given.items()})
    assert {name.rpartition(".")[2] for name in report.missing if name.startswith("backbone.")} == missing
    assert set(report.unused) == unused
    assert report.wrong_shape == ()
    assert report.misfit(model.spec) == ""
    assert report.summed_channels == ("backbone.patch_embed.proj.weight",)
    own = model.state_dict()
    last, width = "backbone.blocks.11.", SHAPES[backbone].width
    parts = own[f"{last}attn.qkv.weight"].split(width)
    if shapes is _rad_dino:
        at = "encoder.layer.11."
        expected = [given[f"{at}attention.attention.{part}.weight"] for part in ("query", "key", "value")]
        scale = given[f"{at}layer_scale2.lambda1"]
        assert torch.equal(own["backbone.pos_embed"], given["embeddings.position_embeddings"])
        assert torch.equal(own[f"{last}attn.proj.bias"], given[f"{at}attention.output.dense.bias"])
    else:
        expected = list(given["blocks.11.attn.qkv.weight"].split(width))
        scale = given.get("blocks.11.ls2.gamma", torch.ones(width))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(parts, expected, strict=True))
    assert torch.equal(own[f"{last}ls2.gamma"], scale)
    if backbone == "eva_x_s16":
        bias = own[f"{last}attn.qkv.bias"].split(width)
        theirs = [given["blocks.11.attn.q_bias"], torch.zeros(width), given["blocks.11.attn.v_bias"]]
        assert all(torch.equal(a, b) for a, b in zip(bias, theirs, strict=True))
        assert torch.equal(own[f"{last}mlp.fc1.weight"], given["blocks.11.mlp.w12.weight"])
        assert torch.equal(own[f"{last}mlp.fc2.bias"], given["blocks.11.mlp.w3.bias"])


def test_positions_of_another_size_are_resized_as_they_are_loaded() -> None:
    model = _classifier()
    given = torch.rand(1, 1 + 32 * 32, 384)  # 512 px
    report = load_starting_weights(model, {"pos_embed": given})
    assert report.matched == ("backbone.pos_embed",)
    torch.testing.assert_close(model.state_dict()["backbone.pos_embed"], resized_positions(given, 14, 14))
    odd = load_starting_weights(model, {"pos_embed": given[:, :-3]})
    assert odd.wrong_shape == ("backbone.pos_embed",)


def test_attention_without_its_key_is_reported_and_own_files_fill_everything() -> None:
    model = _classifier()
    square = torch.zeros(384, 384)
    report = load_starting_weights(
        model, {"blocks.0.attn.q_proj.weight": square, "blocks.0.attn.v_proj.weight": square}
    )
    assert report.matched == ()
    assert len(report.unused) == 2
    report = load_starting_weights(model, _classifier().state_dict())
    assert report.missing == report.unused == report.wrong_shape == ()
