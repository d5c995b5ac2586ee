"""Secondary Capture: a picture of the film with heat map, boxes, legend and scale, for any viewer."""

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.dicom.write.common_attributes import (
    character_set,
    complete_object,
    copy_burned_in,
    equipment_attributes,
    reference_to,
    series_attributes,
)
from camray.domain.film_results import UNVERIFIED, FilmResult
from camray.domain.object_identity import ObjectIdentity

FORMAT = "3"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.7"
_NO_ORIENTATION = ("L", "F")  # highdicom requires one; it is removed again


@suppress_warnings()
def build_sc(result: FilmResult, source: Dataset, identity: ObjectIdentity, picture: NDArray[np.uint8]) -> Dataset:
    """Write a picture as a colour Secondary Capture.

    Parameters
    ----------
    result : FilmResult
        Findings of the film.
    source : Dataset
        The film's header, from `read_source`.
    identity : ObjectIdentity
        UIDs, version and predecessor of the new instance.
    picture : ndarray of shape (H, W, 3), uint8
        RGB; contains no identifier beyond what is burned into the film.

    Returns
    -------
    Dataset
        Uncompressed, without spacing: the picture is not on the film's grid.
    """
    ds = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=tuple(source.PatientOrientation) or _NO_ORIENTATION,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=character_set(result, source),
        **series_attributes("sc", source, identity),
        **equipment_attributes(result.algorithm),
    )
    ds.PatientOrientation = list(source.PatientOrientation)
    ds.ImageType = ["DERIVED", "SECONDARY"]
    copy_burned_in(ds, source)
    ds.ImageComments = f"camray {result.algorithm.name} {result.algorithm.version}: {UNVERIFIED}"
    ds.DerivationDescription = f"Heat map and boxes drawn over the film ({UNVERIFIED})"
    ds.SourceImageSequence = [reference_to(source)]
    return complete_object(ds, source, identity, is_image=True)
