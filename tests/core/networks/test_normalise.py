"""Local normalisation against a slow plain reference, on a film that is not square."""

import numpy as np
import torch
from torch.nn.functional import interpolate

from camray.core.networks.normalise import Normalise


def _smooth(grey: torch.Tensor) -> torch.Tensor:
    """Means of 4 px cells, averaged over 7 x 7 cells with the border cell repeated, interpolated back."""
    cells = grey[0, 0].reshape(grey.shape[2] // 4, 4, grey.shape[3] // 4, 4).mean(dim=(1, 3)).numpy()
    padded = np.pad(cells, 3, mode="edge")
    mean = np.array([[padded[r : r + 7, c : c + 7].mean() for c in range(cells.shape[1])] for r in range(len(cells))])
    return interpolate(torch.from_numpy(mean)[None, None], size=grey.shape[2:], mode="bilinear", align_corners=False)


def test_local_normalisation_equals_its_reference() -> None:
    grey = torch.rand(1, 1, 40, 56, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    grey[:, :, :8] += 2.0  # the two borders differ
    grey[:, :, :, -8:] += 1.0
    centred = grey - _smooth(grey)
    expected = centred / (_smooth(centred.square()).sqrt() + 0.03)
    torch.testing.assert_close(Normalise("local")(grey), expected, rtol=0, atol=1e-12)
