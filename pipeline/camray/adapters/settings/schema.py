"""Settings of an experiment: one frozen model per section, with each setting's default, limits, unit and meaning."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camray.adapters.settings.comparison import CompareSettings
from camray.adapters.settings.section import Section
from camray.domain.contract import FULLY_CONNECTED


class GenerateSettings(Section):
    """Films drawn by camray itself (data manifest ``phantom``)."""

    films: int = Field(900, ge=8, description="how many films to draw")
    rows: int = Field(512, ge=64, description="rows of a portrait film's longer side before the variations, px")
    seed: int = Field(1, description="of the drawing")


class DataSettings(Section):
    """Which films and tables."""

    manifest: str = Field("folder", description="folder name under data_manifests/, or a path to a manifest")
    root: Path | None = Field(None, description="folder that holds the films; relative to the current folder")
    labels: Path | None = Field(None, description="label table, where it is not the manifest's own")
    boxes: Path | None = Field(None, description="box table, where it is not the manifest's own")
    readers: Literal["union", "majority", "fusion"] | None = Field(
        None, description="how several readers of one film are combined; default: as the manifest says"
    )
    generate: GenerateSettings | None = None


class IngestSettings(Section):
    """Files to pixel store."""

    rows: int = Field(256, ge=16, description="rows of the model grid, px")
    cols: int = Field(256, ge=16, description="columns of the model grid, px")
    fit: Literal["letterbox", "crop", "stretch"] = Field(
        "letterbox", description="film to model grid: margins, cut edges, or other proportions"
    )
    bits: Literal[8, 16] = Field(8, description="stored depth of the model grid")
    modalities: tuple[str, ...] = Field(("CR", "DX", "RG"), description="DICOM modalities let in")
    body_parts: tuple[str, ...] = Field(
        ("CHEST", "THORAX", "LUNG", "RIB", "RIBCAGE", ""), description="let in; '' lets films of unknown part in"
    )
    views: tuple[str, ...] = Field(("PA", "AP", ""), description="'' lets films of unknown view in")
    keep_duplicates: bool = Field(False, description="let films with the same pixels in more than once")
    split: Literal["seeded", "official"] = Field(
        "seeded", description="by patient, drawn from split_seed; or as the data set published it"
    )
    fractions: tuple[float, float, float] = Field((0.7, 0.1, 0.2), description="train, validation, test")
    split_seed: int = Field(1, description="of the split by patient")
    workers: int = Field(0, ge=0, description="processes; 0 takes one per core")
    shard_films: int = Field(512, ge=1, description="films a file of the pixel store")
    audit: bool = Field(True, description="probe the labels for shortcuts: audit.html")


class ModelSettings(Section):
    """The network; see `camray.domain.contract.NetworkSpec` for what each choice does."""

    backbone: Literal[
        "resnet_light", "resnet18", "resnet50", "densenet121", "efficientnet_b0", "alexnet_gap", "vgg16_gap",
        "vgg16_bn_gap", "googlenet_gap", "googlenet", "nin", "alexnet", "vgg16", "vgg16_bn",
    ] = Field("resnet_light", description="see docs/networks.md")  # fmt: skip
    pool: Literal["gap", "gmp", "lse", "pcam", "lse_map"] = Field("gap", description="lse_map: classify, then LSE")
    lse_r: float = Field(5.0, gt=0, description="sharpness of LSE: 0 is GAP, infinity is GMP")
    stride: Literal[8, 16, 32] = Field(16, description="model px a feature cell")
    aligned: bool = Field(True, description="centre receptive fields on feature cells; false: the published sampling")
    dilated: bool = Field(True, description="dilation in place of strides left out; false keeps receptive fields small")
    normalise: Literal["fixed", "film", "local", "film_local"] = Field(
        "fixed", description="of grey values: by constants, by the film, by the neighbourhood, or the last two together"
    )
    widths: tuple[int, int, int, int] = Field((16, 32, 64, 128), description="channels a layer (resnet_light)")
    blocks: tuple[int, int, int, int] = Field((1, 1, 1, 1), description="blocks a layer (resnet_light)")
    stem_kernel: int = Field(7, ge=3, description="side of the first convolution, odd (resnet_light)")
    stem_pool: bool = Field(True, description="max pooling after the first convolution (resnet_light)")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability that a channel of the feature map is dropped")
    weights: Path | None = Field(None, description="local safetensors or state dict to start from")
    members: int = Field(
        1, ge=1, description="networks trained from different seeds whose logits and maps are averaged"
    )
    fusion: Literal["none", "sdfn"] = Field("none", description="sdfn: whole film and lung crop, features joined")
    crop_margin: float = Field(0.05, ge=0, lt=1, description="about the lungs, fraction of their box (sdfn)")
    shrink: int = Field(1, ge=1, description="branches see the film at 1/shrink, the crop is cut from all of it (sdfn)")
    lungs: Path | None = Field(
        None, description="lung generator of camray lungs train; default: the shipped one (sdfn)"
    )


class AugmentSettings(Section):
    """Ranges of the augmentation, applied to whole batches."""

    flip: float = Field(0.5, ge=0, le=1, description="probability of a left-right flip")
    rotate_deg: float = Field(10.0, ge=0, description="to either side, degrees")
    translate: float = Field(0.06, ge=0, description="fraction of the side")
    scale: float = Field(0.15, ge=0, description="magnified by exp(-s) to exp(s)")
    aspect: float = Field(0.05, ge=0, description="width by exp(a) and height by exp(-a), a in -aspect to aspect")
    gamma: float = Field(0.3, ge=0, description="exponent exp(-g) to exp(g)")
    contrast: float = Field(0.2, ge=0, lt=1, description="about mid-grey, by 1 - c to 1 + c")
    brightness: float = Field(0.1, ge=0, description="added or taken away, of a 0-1 scale")
    noise: float = Field(0.02, ge=0, description="largest standard deviation, of a 0-1 scale")
    erase: float = Field(0.0, ge=0, le=1, description="probability of one erased rectangle")


class PretextSettings(Section):
    """Finding pasted opacities before labels: for small networks trained from scratch on few films."""

    epochs: int = Field(0, ge=0, description="0 leaves it out")
    learning_rate: float = Field(2e-3, gt=0, description="at its highest, as train.learning_rate")


class TrainSettings(Section):
    """The fit."""

    max_epochs: int = Field(20, ge=1, description="passes over the training films")
    batch_size: int = Field(32, ge=1, description="films a step, over all processes")
    learning_rate: float = Field(1e-3, gt=0, description="after warming up, of AdamW")
    final_learning_rate: float = Field(0.02, ge=0, le=1, description="where the cosine ends, fraction of learning_rate")
    weight_decay: float = Field(1e-2, ge=0, description="of convolutions and linear layers; norms and biases have none")
    warmup_epochs: float = Field(1.0, ge=0, description="epochs in which the learning rate rises from 0")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="labels 0 and 1 become s/2 and 1 - s/2")
    class_weights: bool = Field(True, description="positives count as much as negatives, label by label")
    max_class_weight: float = Field(10.0, ge=1, description="a rare label's positives count at most so much")
    label_weights: dict[str, float] = Field({}, description="factor of a label in the loss, where it is not 1")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="0 switches averaging off")
    clip_norm: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 does not clip")
    patience: int = Field(
        0, ge=0, description="epochs without a better validation AUROC before stopping; 0 never stops"
    )
    choose: Literal["best", "last"] = Field(
        "last", description="checkpoint handed on: best validation AUROC, or the last"
    )
    amp: bool = Field(True, description="bf16 autocast where the device gains from it")
    compile: bool = Field(False, description="torch.compile: minutes at the start, faster steps on a GPU")
    augment: AugmentSettings = AugmentSettings()
    pretext: PretextSettings = PretextSettings()


class ExplainSettings(Section):
    """Heat maps."""

    methods: tuple[str, ...] = Field(("cam", "gradcam"), description="explanation methods, see docs/gallery.html")
    batch_size: int = Field(32, ge=1, description="films a pass")
    splits: tuple[str, ...] = Field(("validation", "test"), description="whose films are explained")
    flip: bool = Field(False, description="average maps and logits over the left-right flip")
    scales: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0,), min_length=1, description="average maps and logits over these input scales"
    )
    prior: bool = Field(
        False,
        description="also average the maps of the training films that show a label: a label-only prior of its place",
    )
    heat_exponents: dict[str, int] = Field(
        {}, description="by method: maps are stored times 2 to this power, where float16 cannot hold them as they are"
    )


class LocalizeSettings(Section):
    """Maps to boxes."""

    policies: tuple[Literal["fraction_of_max", "raw", "quantile", "otsu", "calibrated"], ...] = Field(
        ("fraction_of_max", "calibrated"),
        min_length=1,
        description="where thresholds come from; calibrated: validation",
    )
    fraction_of_max: float = Field(0.2, gt=0, lt=1, description="the CAM paper's 20 %")
    raw: float = Field(0.0, description="in units of the heat")
    quantile: float = Field(0.9, gt=0, lt=1, description="fraction of the film that is cooler")
    region: Literal["hottest", "largest", "evidence"] = Field(
        "hottest", description="which region is the first box, where the policy does not choose it"
    )
    boxes: Literal["one", "many"] = Field("one", description="a film and label: the first region's, or every region's")
    score: Literal["max", "mean"] = Field("max", description="heat of a region that becomes its box's score")
    smooth: float = Field(
        0.0, ge=0, description="Gaussian sigma applied to a map where the policy does not choose it, in feature cells"
    )
    min_area: float = Field(0.001, ge=0, le=1, description="smallest region, fraction of the film")
    report: Literal["cutoff", "all"] = Field(
        "cutoff", description="boxes reported: where the probability reaches its cutoff, or of every film"
    )
    zones: bool = Field(True, description="find the lungs and name each box's zone")
    lungs: Path | None = Field(None, description="lung generator of camray lungs train; default: the shipped one")
    calibrate_iou: float = Field(0.3, gt=0, lt=1, description="IoU that the calibration's accuracy is counted at")
    calibrate_levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        tuple(round(0.1 + 0.05 * step, 2) for step in range(17)),
        min_length=1,
        description="fractions of a map's maximum, and of its range, that are compared, ascending",
    )
    calibrate_raw: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (), description="raw heat at these quantiles of the validation maps is compared too"
    )
    calibrate_smooth: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.5, 1.0, 1.5), min_length=1, description="sigmas that are compared, ascending"
    )
    calibrate_dilate: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.8, 0.9, 1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0),
        min_length=1,
        description="factors on a box's sides that are compared, ascending",
    )
    calibrate_prior: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.25, 0.5, 1.0),
        min_length=1,
        description="weights of the prior map that are compared, ascending, where explain.prior made one",
    )
    calibrate_shrink: float = Field(
        4.0, ge=0, description="all labels' accuracy counts as so many films beside a label's own"
    )


class ScoreSettings(Section):
    """Scores."""

    splits: tuple[str, ...] = Field(("test",), description="whose films are scored")
    bootstrap: int = Field(1000, ge=0, description="resamples of patients; 0 gives no intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
    oracle: bool = Field(False, description="also give numbers whose threshold was chosen on the scored films")
    pictures: bool = Field(True, description="draw charts and films for the summary page")
    seed: int = Field(1, description="of the bootstrap, the random map and the shuffles")
    protocols: tuple[
        Literal[
            "wsol", "chestxray14", "chexlocalize", "detection", "ilsvrc", "classification", "containment", "ceiling"
        ],
        ...,
    ] = Field((), description="published protocols whose rows are added to the score table")
    wsol_thresholds: int = Field(1000, ge=10, le=1000, description="thresholds of the protocol wsol")
    human: dict[
        str,
        dict[Literal["miou_true_positive", "miou_annotated", "miou_all", "hit_rate"], Annotated[float, Field(gt=0)]],
    ] = Field({}, description="by label: a human benchmark that the protocol chexlocalize is compared with")


ExportFormat = Literal["overlays", "csv", "coco", "labelstudio", "voc", "sr", "gsps", "sc", "seg", "pdf"]


class ExportSettings(Section):
    """What people get."""

    formats: tuple[ExportFormat, ...] = Field(
        ("overlays", "csv", "coco"),
        description="sr, gsps, sc, seg and pdf are DICOM objects in the studies of their films",
    )
    splits: tuple[str, ...] = Field(("test",), description="whose films are exported")
    max_overlays: int = Field(64, ge=0, description="films drawn; the rest stays in the tables")
    capture_px: int = Field(1024, ge=256, le=4096, description="longest side of the film in sc and pdf, px")
    history: Path | None = Field(
        None, description="SQLite file that knows which object replaces which; default: exported.sqlite in the run"
    )


class TrackSettings(Section):
    """MLflow."""

    enabled: bool = Field(True, description="log runs to MLflow")
    uri: str | None = Field(None, description="default: MLFLOW_TRACKING_URI, else sqlite beside the run")
    experiment: str | None = Field(None, description="default: the settings' name")
    register_model: bool = Field(True, description="put the trained model into the model registry")
    overlays: int = Field(24, ge=0, description="overlays shown in the UI")


class Settings(Section):
    """Everything one experiment needs."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="names the run folder and the MLflow experiment"
    )
    seed: int = Field(1, description="of weights, order of films and augmentation")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    data: DataSettings = DataSettings()
    ingest: IngestSettings = IngestSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    explain: ExplainSettings = ExplainSettings()
    localize: LocalizeSettings = LocalizeSettings()
    score: ScoreSettings = ScoreSettings()
    export: ExportSettings = ExportSettings()
    track: TrackSettings = TrackSettings()
    compare: CompareSettings = CompareSettings()

    @model_validator(mode="after")
    def _cam_needs_a_pool(self) -> "Settings":
        backbone = self.model.backbone
        if "cam" in self.explain.methods and backbone in FULLY_CONNECTED:
            raise ValueError(
                f"explain.methods contains 'cam', and model.backbone={backbone} has fully connected layers where CAM "
                f"needs a pool and one linear layer; set explain.methods=[gradcam], or model.backbone={backbone}_gap"
            )
        return self
