"""Films with declared truth: a bright square at a known box on a darker ramp, in any encoding."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset, FileMetaDataset, uid
from pydicom.sequence import Sequence

from camray.domain.geometry import Box

BOX = Box(20, 30, 44, 62)


@dataclass(frozen=True)
class FilmRecipe:
    """What a factory film holds; `shown` is what a display shows of it before any window."""

    rows: int = 96
    cols: int = 80
    box: Box = BOX
    photometric: str = "MONOCHROME2"
    bits_allocated: int = 16
    bits_stored: int = 12
    high_bit: int | None = None
    is_signed: bool = False
    syntax: str = uid.ExplicitVRLittleEndian
    spacing_mm: tuple[float, float] | None = (0.2, 0.16)  # row, column, at the detector
    dirt: int = 0  # or-ed into the cells' unused bits

    @property
    def shown(self) -> np.ndarray:
        """Displayed values as whole numbers: a ramp in the lowest third, the box at three quarters of the range."""
        top = 2**self.bits_stored - 1
        ramp = np.linspace(0, top / 3, self.rows * self.cols).reshape(self.rows, self.cols).astype(np.int64)
        x0, y0, x1, y1 = (int(side) for side in self.box.as_tuple())
        ramp[y0:y1, x0:x1] = top * 3 // 4
        return ramp

    @property
    def stored(self) -> np.ndarray:
        """Stored values, int64."""
        values = self.shown
        if self.photometric == "MONOCHROME1":
            values = 2**self.bits_stored - 1 - values
        return values - 2 ** (self.bits_stored - 1) if self.is_signed else values

    @property
    def cells(self) -> bytes:
        """Pixel Data, native and little endian."""
        high_bit = self.bits_stored - 1 if self.high_bit is None else self.high_bit
        mask = 2**self.bits_stored - 1
        cells = ((self.stored & mask) << (high_bit + 1 - self.bits_stored)) | self.dirt
        data = cells.astype(f"<u{self.bits_allocated // 8}").tobytes()
        return data + b"\0" * (len(data) % 2)


def film_dataset(recipe: FilmRecipe, **elements: Any) -> Dataset:
    """Build the data set of a recipe; keyword arguments set or (None) delete elements."""
    ds = Dataset()
    ds.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID, ds.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientAge = "CANARY-7", "Canary^Yellow", "F", "045Y"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition, ds.ImageLaterality = "DX", "CHEST", "PA", "U"
    ds.Rows, ds.Columns, ds.SamplesPerPixel = recipe.rows, recipe.cols, 1
    ds.PhotometricInterpretation = recipe.photometric
    ds.BitsAllocated, ds.BitsStored = recipe.bits_allocated, recipe.bits_stored
    ds.HighBit = recipe.bits_stored - 1 if recipe.high_bit is None else recipe.high_bit
    if recipe.spacing_mm is not None:
        ds.ImagerPixelSpacing = list(recipe.spacing_mm)
    ds.PixelRepresentation = int(recipe.is_signed)
    ds.PixelData = recipe.cells
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    for keyword, value in elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return ds


def lut_item(first_mapped: int, entries: list[int], bits: int, is_signed: bool = False) -> Sequence:
    """Build a lookup table sequence of one item."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if is_signed else "US", [len(entries) % 2**16, first_mapped, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return Sequence([item])
