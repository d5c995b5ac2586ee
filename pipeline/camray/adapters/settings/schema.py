"""Settings of an experiment: one frozen model per section, with each setting's default, limits, unit and meaning."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camray.adapters.settings.boxes import LocalizeSettings
from camray.adapters.settings.comparison import CompareSettings
from camray.adapters.settings.films import DataSettings, IngestSettings
from camray.adapters.settings.maps import IntegratedGradientsSettings, OcclusionSettings
from camray.adapters.settings.network import ModelSettings
from camray.adapters.settings.refinement import RefineSettings
from camray.adapters.settings.scores import ScoreSettings
from camray.adapters.settings.section import Section
from camray.domain.contract import FULLY_CONNECTED


class AugmentSettings(Section):
    """Ranges of the augmentation, which is applied to whole batches."""

    flip: float = Field(0.5, ge=0, le=1, description="probability of a left-right flip")
    rotate_deg: float = Field(10.0, ge=0, description="largest rotation to either side, degrees")
    translate: float = Field(0.06, ge=0, description="largest shift, fraction of the side")
    scale: float = Field(0.15, ge=0, description="s: magnification by exp(-s) to exp(s)")
    aspect: float = Field(0.05, ge=0, description="a: width times exp(-a) to exp(a), height by the inverse")
    gamma: float = Field(0.3, ge=0, description="g: gamma of exp(-g) to exp(g)")
    contrast: float = Field(0.2, ge=0, lt=1, description="c: contrast around mid-grey times 1 - c to 1 + c")
    brightness: float = Field(0.1, ge=0, description="largest change of brightness, on a 0-1 scale")
    noise: float = Field(0.02, ge=0, description="largest standard deviation of Gaussian noise, on a 0-1 scale")
    erase: float = Field(0.0, ge=0, le=1, description="probability of one erased rectangle")


class PretextSettings(Section):
    """Pretraining of any backbone, whatever weights it starts from, on pasted opacities; no labels are used."""

    epochs: int = Field(
        0,
        ge=0,
        description="epochs of pretraining on opacities pasted into the training films (and into unlabelled ones, "
        "with ingest.keep_unlabelled); 0: none",
    )
    learning_rate: float = Field(
        2e-3,
        gt=0,
        description="peak learning rate of the pretraining; with initial weights (model.weights) a smaller one is "
        "advisable, such as train.learning_rate",
    )


class TrainSettings(Section):
    """Training of the classifier."""

    max_epochs: int = Field(20, ge=1, description="maximum number of passes over the training films")
    min_steps: int = Field(
        0, ge=0, description="minimum number of steps: on few films max_epochs is raised to reach it"
    )
    epoch_films: int = Field(
        0,
        ge=0,
        description="films per epoch: epochs share the training films out among them; 0 takes all films each time",
    )
    batch_size: int = Field(32, ge=1, description="films per step, over all processes")
    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate of AdamW, after the warm-up")
    head_rate: float = Field(
        1.0, gt=0, description="learning rate of the new layers after the backbone, multiple of learning_rate"
    )
    final_learning_rate: float = Field(
        0.02, ge=0, le=1, description="end of the cosine schedule, fraction of learning_rate"
    )
    weight_decay: float = Field(
        1e-2, ge=0, description="weight decay of convolutions and linear layers; normalization and biases have none"
    )
    warmup_epochs: float = Field(1.0, ge=0, description="epochs of linear warm-up")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="s: labels 0 and 1 become s/2 and 1 - s/2")
    class_weights: bool = Field(
        True, description="per label, weight positive films so that they count as much as negative ones"
    )
    max_class_weight: float = Field(10.0, ge=1, description="upper limit of the weights of class_weights")
    balance: tuple[Literal["view", "sex", "age", "site", "maker"], ...] = Field(
        (),
        description="weight films so that no label depends on these properties, jointly; age: in bands of 20 years; "
        "films of groups that only show, or never show, a label do not count for it",
    )
    max_balance_weight: float = Field(10.0, ge=1, description="upper limit of the weights of balance")
    outside_penalty: float = Field(
        0.0,
        ge=0,
        description="weight in the loss of the mean positive evidence (CAM, on the feature grid) outside the chest: "
        "the hull of the detected lungs and 3 % of the film around it; films without detected lungs add none; 0: off",
    )
    label_weights: dict[str, float] = Field({}, description="by label: factor in the loss; default: 1")
    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="decay of the moving average of the weights; 0 switches it off"
    )
    clip_norm: float = Field(1.0, ge=0, description="upper limit of the gradient's norm; 0 sets none")
    patience: int = Field(
        0, ge=0, description="stop after this many epochs without a better validation AUROC; 0 never stops early"
    )
    choose: Literal["best", "last"] = Field(
        "last", description="weights to keep: of the epoch with the best validation AUROC, or of the last one"
    )
    amp: bool = Field(True, description="bf16 autocast if the device benefits from it")
    compile: bool = Field(False, description="use torch.compile: minutes at the start, faster steps on a GPU")
    augment: AugmentSettings = AugmentSettings()
    pretext: PretextSettings = PretextSettings()


class ExplainSettings(Section):
    """Heat maps."""

    methods: tuple[str, ...] = Field(
        ("cam", "gradcam"), description="explanation methods to compute, see docs/explaining.md"
    )
    batch_size: int = Field(32, ge=1, description="films per forward pass")
    splits: tuple[str, ...] = Field(("validation", "test"), description="splits to explain")
    flip: bool = Field(False, description="average maps and logits over the film and its mirror image")
    scales: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0,), min_length=1, description="average maps and logits over these input scales"
    )
    within: Literal["film", "chest"] = Field(
        "film",
        description="chest: lower the heat outside the chest (hull of the detected lungs and 3 % of the film around "
        "it) to the map's lowest; a film without detected lungs is left as it is",
    )
    prior: bool = Field(
        False,
        description="compute a prior map per label: the mean map of its positive training films",
    )
    heat_exponents: dict[str, int] = Field(
        {}, description="by method: store maps multiplied by 2 to this power, to fit the range of float16"
    )
    integrated_gradients: IntegratedGradientsSettings = IntegratedGradientsSettings()
    occlusion: OcclusionSettings = OcclusionSettings()


ExportFormat = Literal["overlays", "csv", "coco", "labelstudio", "voc", "sr", "gsps", "sc", "seg", "pdf"]


class ExportSettings(Section):
    """Exports: overlays, tables and DICOM objects."""

    formats: tuple[ExportFormat, ...] = Field(
        ("overlays", "csv", "coco"),
        description="formats; sr, gsps, sc, seg and pdf are DICOM objects in the studies of their films",
    )
    splits: tuple[str, ...] = Field(("test",), description="splits to export")
    max_overlays: int = Field(64, ge=0, description="maximum number of films to draw as overlays")
    capture_px: int = Field(1024, ge=256, le=4096, description="longest side of the film in sc and pdf, px")
    history: Path | None = Field(
        None, description="SQLite file with the versions of exported objects; default: exported.sqlite in the run"
    )


class TrackSettings(Section):
    """Tracking with MLflow."""

    enabled: bool = Field(True, description="log runs to MLflow")
    uri: str | None = Field(None, description="URI of the store; default: MLFLOW_TRACKING_URI, or SQLite by the run")
    experiment: str | None = Field(
        None, description="MLflow experiment, as a project; default: the data manifest's name"
    )
    register_model: bool = Field(True, description="register the trained model")
    overlays: int = Field(24, ge=0, description="number of overlays to log")
    system_metrics: bool = Field(True, description="log load of CPU, memory, disk and GPUs, where psutil is installed")


class Settings(Section):
    """All settings of one experiment."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="name of the run folder and of the registered model; auto takes the first free of exp, exp2, exp3",
    )
    seed: int = Field(1, description="random seed of initial weights, order of films and augmentation")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU if there is one")
    data: DataSettings = DataSettings()
    ingest: IngestSettings = IngestSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    refine: RefineSettings = RefineSettings()
    explain: ExplainSettings = ExplainSettings()
    localize: LocalizeSettings = LocalizeSettings()
    score: ScoreSettings = ScoreSettings()
    export: ExportSettings = ExportSettings()
    track: TrackSettings = TrackSettings()
    compare: CompareSettings = CompareSettings()

    @model_validator(mode="after")
    def _unlabelled_films_have_a_use(self) -> "Settings":
        if self.ingest.keep_unlabelled and not self.train.pretext.epochs:
            raise ValueError(
                "ingest.keep_unlabelled keeps films for the pretext alone, and train.pretext.epochs is 0; expected one "
                "epoch or more; set train.pretext.epochs=5, for instance, or ingest.keep_unlabelled=false"
            )
        return self

    @model_validator(mode="after")
    def _cam_needs_a_pool(self) -> "Settings":
        backbone = self.model.backbone
        self.refine.check_fits(backbone, self.model.weights, self.train.outside_penalty)
        if self.train.outside_penalty and backbone in FULLY_CONNECTED:
            raise ValueError(
                f"train.outside_penalty is a penalty on CAM, and model.backbone={backbone} has fully "
                f"connected layers; set it to 0, or model.backbone={backbone}_gap"
            )
        if "cam" in self.explain.methods and backbone in FULLY_CONNECTED:
            raise ValueError(
                f"explain.methods contains 'cam', and model.backbone={backbone} has fully connected layers; CAM "
                f"needs a pool and one linear layer; set explain.methods=[gradcam], or model.backbone={backbone}_gap"
            )
        return self
