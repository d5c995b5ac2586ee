"""Secondary Capture: the film with map, boxes, legend and scale drawn into it, for whoever has nothing better."""

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from camray.adapters.dicom.write.common_attributes import (
    SERIES_NUMBERS,
    character_set,
    device_words,
    finish,
    series_words,
)
from camray.adapters.dicom.write.warnings import quiet
from camray.domain.film_results import UNVERIFIED, FilmResult
from camray.domain.object_identity import ObjectIdentity

FORMAT = "1"
SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.7"


@quiet()
def build_sc(result: FilmResult, source: Dataset, identity: ObjectIdentity, picture: NDArray[np.uint8]) -> Dataset:
    """Write a picture as a colour Secondary Capture.

    Parameters
    ----------
    result : FilmResult
        What is said.
    source : Dataset
        The film, from `read_source`.
    identity : ObjectIdentity
        Who the object is.
    picture : ndarray of shape (H, W, 3), uint8
        RGB; holds no identifier.

    Returns
    -------
    Dataset
        Uncompressed, without spacing: the picture is not on the film's grid.
    """
    words = device_words(result.algorithm)
    ds = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS["sc"],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=identity.version,
        patient_orientation=tuple(source.PatientOrientation) or ("L", "F"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=series_words("sc"),
        specific_character_set=character_set(result, source),
        **words,
    )
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation = "NO"  # it says what camray found and not who the patient is
    ds.ImageComments = f"camray {result.algorithm.name} {result.algorithm.version}: {UNVERIFIED}"
    ds.DerivationDescription = f"Heat map and boxes drawn over the film ({UNVERIFIED})"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    ds.SourceImageSequence = [reference]
    return finish(ds, source, identity, is_image=True)
