"""Settings of the films: which they are, and how they are read."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from camray.adapters.settings.section import Section
from camray.domain.preparation import MAX_BORDER


class GenerateSettings(Section):
    """Films that camray draws (data manifest ``phantom``)."""

    films: int = Field(900, ge=8, description="number of films to generate")
    rows: int = Field(512, ge=64, description="longer side of a portrait film before it is varied, px")
    seed: int = Field(1, description="random seed of the films")


class DataSettings(Section):
    """Films, label table and box table."""

    manifest: str = Field("folder", description="folder under data_manifests/, or path of a manifest")
    root: Path | None = Field(
        None, description="folder of the films and tables, relative to the current folder; or s3://, gs://, az://"
    )
    labels: Path | None = Field(None, description="label table; default: the manifest's")
    boxes: Path | None = Field(None, description="box table; default: the manifest's")
    readers: Literal["union", "majority", "fusion"] | None = Field(
        None, description="how the readings of several readers are combined; default: the manifest's"
    )
    leave_out: tuple[str, ...] = Field((), description="findings of the tables that are not used at all")
    generate: GenerateSettings | None = None


class PrepareSettings(Section):
    """Changes of all films against shortcuts; part of the trained model, so that new films are changed alike."""

    mask_border: float = Field(
        0.0,
        ge=0,
        le=MAX_BORDER,
        description="width of the border that is painted with the median of the rest, fraction of height and width",
    )
    mask_markers: bool = Field(
        False,
        description="paint burnt-in text and markers with the grey around them: small, very bright structures outside "
        "the lungs' hull",
    )
    equalize: bool = Field(
        False, description="give all films the same, even distribution of grey levels (histogram equalization)"
    )
    crop_lungs: bool = Field(
        False, description="fit the model grid to the lungs; a film on which none are found is used whole, with a note"
    )
    crop_margin: float = Field(
        0.1, ge=0, lt=1, description="margin around the lungs, fraction of their box's height and width (crop_lungs)"
    )


class IngestSettings(Section):
    """Reading of files into the pixel store."""

    rows: int = Field(256, ge=16, description="rows of the model grid, px")
    cols: int = Field(256, ge=16, description="columns of the model grid, px")
    fit: Literal["letterbox", "crop", "stretch"] = Field(
        "letterbox", description="how a film fits the model grid: with margins, cropped, or with changed proportions"
    )
    bits: Literal[8, 16] = Field(8, description="bits per pixel of the model grid")
    modalities: tuple[str, ...] = Field(("CR", "DX", "RG"), description="accepted DICOM modalities")
    body_parts: tuple[str, ...] = Field(
        ("CHEST", "THORAX", "LUNG", "RIB", "RIBCAGE", ""),
        description="accepted body parts; '' accepts films without one",
    )
    views: tuple[str, ...] = Field(("PA", "AP", ""), description="accepted views; '' accepts films without one")
    keep_duplicates: bool = Field(False, description="accept films with the same pixels more than once")
    keep_unlabelled: bool = Field(
        False,
        description="also keep films without a row in the label table, in the training split: train.pretext alone uses "
        "them, and films without a known label; films of patients of the other splits stay out",
    )
    split: Literal["seeded", "official"] = Field(
        "seeded", description="seeded: at random by patient, from split_seed; official: as published with the data set"
    )
    fractions: tuple[float, float, float] = Field((0.7, 0.1, 0.2), description="shares of train, validation and test")
    split_seed: int = Field(1, description="random seed of the split")
    workers: int = Field(0, ge=0, description="processes that read films; 0 starts one per core")
    shard_films: int = Field(512, ge=1, description="films per file of the pixel store")
    prepare: PrepareSettings = PrepareSettings()
    audit: bool = Field(True, description="test the labels for shortcuts, and write the audit page")
