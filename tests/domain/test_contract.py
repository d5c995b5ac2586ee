"""The model contract: there and back, and what it refuses."""

import json
from dataclasses import replace

import pytest

from camray.domain.contract import ModelContract, NetworkSpec, contract_from_json
from camray.domain.preparation import FilmPreparation

CONTRACT = ModelContract(
    labels=("Nodule", "Effusion"),
    rows=256,
    cols=128,
    fit="letterbox",
    bits=8,
    network=NetworkSpec(stride=16),
    feature_rows=16,
    feature_cols=8,
    data_digest="d" * 64,
    seed=1,
    code_version="0.1.0",
)


def test_there_and_back_through_json_is_the_identity() -> None:
    assert contract_from_json(json.loads(json.dumps(CONTRACT.as_json()))) == CONTRACT
    prepared = replace(CONTRACT, preparation=FilmPreparation(mask_border=0.1, equalize=True))
    assert contract_from_json(json.loads(json.dumps(prepared.as_json()))) == prepared


@pytest.mark.parametrize("change", [{"rows": 250}, {"feature_cols": 9}, {"labels": ()}, {"labels": ("A", "A")}])
def test_a_contract_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"does not cover|expected at least one label, all different"):
        replace(CONTRACT, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "lenet"}, "expected one of resnet_light"),
        ({"pool": "mean"}, "gap, gmp, lse, pcam, lse_map, lse_learned, noisy_or"),
        ({"stride": 4}, "8, 14, 16, 32"),
        ({"stride": 14}, "resnet_light has 8, 16 or 32"),
        ({"backbone": "vit_b14"}, "vit_b14 has 14"),
        ({"backbone": "vit_s16", "stride": 8}, "vit_s16 has 16"),
        ({"backbone": "vit_b14", "stride": 14, "normalise": "film_local"}, "multiples of 4"),
        ({"head": "pyramid", "stride": 16, "pyramid_strides": (14, 16)}, "8, 16, 32, rising"),
        ({"normalise": "z"}, "fixed, film, local"),
        ({"widths": (1, 2, 3)}, "four positive"),
        ({"stem_kernel": 4}, "odd number"),
        ({"lse_r": 0.0}, "must be positive"),
        ({"head": "fpn"}, "linear, pyramid"),
        ({"head": "pyramid", "stride": 8, "backbone": "vgg16_gap"}, "resnet18, resnet50, efficientnet_lite0"),
        ({"head": "pyramid", "stride": 8, "pyramid_strides": (8,)}, "two or more of"),
        ({"head": "pyramid", "stride": 16, "pyramid_strides": (16, 8)}, "rising"),
        ({"head": "pyramid", "stride": 8, "pyramid_strides": (8, 8, 16)}, "rising"),
        ({"head": "pyramid", "stride": 4, "pyramid_strides": (4, 8)}, "8, 14, 16, 32"),
        ({"head": "pyramid", "stride": 16}, "has its finest one, 8"),
        ({"head": "pyramid", "stride": 8, "pyramid_channels": 0}, "one channel or more"),
    ],
)
def test_a_network_that_cannot_be_is_refused_with_the_legal_values(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkSpec(**change)  # type: ignore[arg-type]


def test_a_pyramid_goes_there_and_back_and_has_the_finest_grid() -> None:
    spec = NetworkSpec(head="pyramid", stride=16, pyramid_strides=(16, 32), pyramid_channels=5)
    contract = replace(CONTRACT, network=spec)
    assert contract_from_json(json.loads(json.dumps(contract.as_json()))) == contract
    assert (spec.last_stride, replace(spec, head="linear").last_stride, spec.cells(48)) == (32, 16, 3)


def test_a_contract_written_before_a_key_existed_means_what_it_meant() -> None:
    plain = CONTRACT.as_json()
    for name in ("fusion", "members", "head", "pyramid_strides", "pyramid_channels"):
        del plain["network"][name]
    del plain["preparation"]
    assert contract_from_json(plain) == CONTRACT


def test_missing_and_unknown_keys_are_named() -> None:
    plain = CONTRACT.as_json()
    del plain["seed"]
    with pytest.raises(ValueError, match=r"missing keys \['seed'\], unknown keys \['sed'\]"):
        contract_from_json({**plain, "sed": 1})
    with pytest.raises(ValueError, match="'network' is missing"):
        contract_from_json({})
