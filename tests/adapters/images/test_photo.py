"""Ordinary pictures and class names."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camray.adapters.images.photo import read_class_names, read_colours
from camray.domain.errors import PixelError, SettingsError

RGB = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


def test_a_picture_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(RGB).save(path)
    assert np.array_equal(read_colours(path), RGB)
    Image.fromarray(RGB[..., 0]).save(path)
    assert np.array_equal(read_colours(path), np.repeat(RGB[..., :1], 3, axis=2))
    Image.fromarray(np.dstack([RGB, np.full((8, 12), 9, np.uint8)])).save(path)
    assert np.array_equal(read_colours(path), RGB)


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    path, exif = tmp_path / "picture.png", Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise to show
    Image.fromarray(RGB).save(path, exif=exif)
    assert np.array_equal(read_colours(path), np.rot90(RGB, -1))


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nrest")
    with pytest.raises(PixelError, match="cannot be decoded"):
        read_colours(path)
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 257).save(path)
    with pytest.raises(PixelError, match="8 bits per channel"):
        read_colours(path)


@pytest.mark.parametrize(
    "text",
    [
        "tench, Tinca tinca\ngoldfish\n",
        "{0: 'tench, Tinca tinca',\n 1: 'goldfish'}",
        json.dumps({"1": ["n2", "goldfish"], "0": ["n1", "tench, Tinca tinca"]}),
        json.dumps(["tench, Tinca tinca", "goldfish"]),
    ],
)
def test_names_are_read_in_every_usual_form(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text, encoding="utf-8")
    assert read_class_names(path, 2) == ("tench, Tinca tinca", "goldfish")
    with pytest.raises(SettingsError, match="names 2 classes, 0 of them empty; the network has 3"):
        read_class_names(path, 3)


@pytest.mark.parametrize("text", ["{0: __import__('os').getcwd()}", "{0: 'a'", "{1: 'a', 2: 'b'}", "[1", "a\n\nb"])
def test_what_names_no_classes_is_refused_and_not_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"class names|names 3 classes, 1 of them empty"):
        read_class_names(path, 3)
    with pytest.raises(SettingsError, match="FileNotFoundError"):
        read_class_names(tmp_path / "nowhere.txt", 3)
