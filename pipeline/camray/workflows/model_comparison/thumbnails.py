"""The comparison's picture of one network: the same film under every method.

Reads   ``ingest/`` and ``explain/`` of samples
Writes  ``strip.jpg strip.json``
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folder import RunFolder, write_bytes, write_json
from camray.domain.geometry import Box
from camray.io.scored_films import transform_of
from camray.reporting.model_comparison_page import Strip, draw_strip
from camray.workflows.model_comparison.metrics import Sample

_PICTURE, _SAID = "strip.jpg", "strip.json"


def write_strip(
    target: Path, pixels_of: RunFolder, samples: Collection[Sample], methods: Iterable[str], title: str
) -> None:
    """Draw the first annotated test film that all samples hold; nothing where there is none.

    Parameters
    ----------
    target : Path
        Folder of the pictures.
    pixels_of : RunFolder
        Whose pixel store holds the film.
    samples : collection of Sample
        Of one network.
    methods : iterable of str
        Their order.
    title : str
        Its label is added.
    """
    shown = _shown(samples)
    if shown is None:
        return
    film, label, boxes = shown
    heats = {
        name: sample.maps.heat(name, label, str(film.image_id)) for sample in samples for name in sample.maps.methods
    }
    pixels = PixelStore(pixels_of.root / "ingest" / "store").rows([int(film.shard)], [int(film.index)])
    grey = pixels[0].astype(np.float32) / float(np.iinfo(pixels.dtype).max)
    strip = draw_strip(grey, {name: heats[name] for name in methods if name in heats}, boxes, f"{title}: {label}")
    write_bytes(target / _PICTURE, strip.jpeg)
    write_json(target / _SAID, {"title": strip.title, "names": list(strip.names)})


def read_strip(folder: Path) -> list[Strip]:
    """Return the picture that lies in a folder, if one does."""
    if not (folder / _SAID).is_file():
        return []
    said = json.loads((folder / _SAID).read_text(encoding="utf-8"))
    return [Strip(said["title"], tuple(said["names"]), (folder / _PICTURE).read_bytes())]


def _shown(samples: Collection[Sample]) -> tuple[Any, str, list[Box]] | None:
    """Return the film's row of the images table, its label, and that label's boxes on the model grid."""
    if not samples:
        return None
    ids = set.intersection(*(set(sample.image_ids) for sample in samples))
    sample = next(iter(samples))
    for label, items in sample.test.items.items():
        for number, image_id in enumerate(items.image_ids):
            if image_id in ids:
                images = sample.films.images
                film: Any = next(images[images["image_id"] == image_id].itertuples(index=False))
                boxes = [Box(*map(float, box)) for box in items.boxes_of(number)]
                return film, label, [transform_of(film).box_to_model(box) for box in boxes]
    return None
