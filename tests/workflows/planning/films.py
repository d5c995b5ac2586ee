"""A folder of drawn films with tables, for tests of plans."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_films(root: Path, films: int = 12, rows: int = 96, cols: int = 64, present: int = 5) -> Path:
    """Write pictures with labels: `Mass` on the first `present`, with a box each; `Chest` on all."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(3)
    labels, boxes = ["image_id,patient_id,Mass,Chest"], ["image_id,label,x0,y0,x1,y1"]
    for film in range(films):
        pixels = rng.integers(60, 120, (rows, cols), dtype=np.uint8)
        if film < present:
            pixels[20:40, 10:30] = 240
            boxes.append(f"f{film}.png,Mass,10,20,30,40")
        Image.fromarray(pixels).save(root / f"f{film}.png")
        labels.append(f"f{film}.png,p{film},{int(film < present)},1")
    (root / "labels.csv").write_text("\n".join(labels) + "\n")
    (root / "boxes.csv").write_text("\n".join(boxes) + "\n")
    return root
