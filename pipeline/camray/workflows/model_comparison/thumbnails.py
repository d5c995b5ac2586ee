"""Picture of one network in the comparison: the same film under every method.

Reads   ``ingest/`` and ``explain/`` of samples
Writes  ``strip.jpg strip.json``
"""

from collections.abc import Collection, Iterable

from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.geometry import Box
from camray.io.artifacts import artifacts_of
from camray.io.json_files import read_json
from camray.reporting.model_comparison_page import Strip, draw_strip
from camray.workflows.model_comparison.metrics import Sample


def write_strip(folder: RunFolder, samples: Collection[Sample], methods: Iterable[str], title: str) -> None:
    """Draw the first annotated test film that all samples hold; nothing if there is none.

    Parameters
    ----------
    folder : RunFolder
        Run of the network; the picture belongs to its ``compared``.
    samples : collection of Sample
        Of the network.
    methods : iterable of str
        In this order.
    title : str
        The label is added to it.
    """
    example = _example(samples)
    if example is None:
        return
    image_id, label, boxes = example
    heats = {name: sample.run.heat(name, label, image_id) for sample in samples for name in sample.run.methods}
    grey = next(iter(samples)).run.films.grey(image_id)
    strip = draw_strip(grey, {name: heats[name] for name in methods if name in heats}, boxes, f"{title}: {label}")
    files = artifacts_of(folder).compared
    write_bytes(files.strip, strip.jpeg)
    write_json(files.strip_texts, {"title": strip.title, "names": list(strip.names)})


def read_strip(folder: RunFolder) -> list[Strip]:
    """Return the picture of a network, if there is one."""
    files = artifacts_of(folder).compared
    if not files.strip_texts.is_file():
        return []
    texts = read_json(files.strip_texts)
    return [Strip(texts["title"], tuple(texts["names"]), files.strip.read_bytes())]


def _example(samples: Collection[Sample]) -> tuple[str, str, list[Box]] | None:
    """Return a film, its label, and the boxes of that label on the model grid."""
    if not samples:
        return None
    shared = set.intersection(*(set(sample.image_ids) for sample in samples))
    sample = next(iter(samples))
    for label, items in sample.test.items.items():
        for number, image_id in enumerate(items.image_ids):
            if image_id in shared:
                transform = sample.run.placements[image_id].transform
                boxes = [Box(*map(float, box)) for box in items.boxes_of(number)]
                return image_id, label, [transform.box_to_model(box) for box in boxes]
    return None
