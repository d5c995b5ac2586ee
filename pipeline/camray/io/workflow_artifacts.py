"""Artifacts of workflows: map checks, the model card, drift, the review, comparisons of models, several seeds."""

from pathlib import Path

from camray.core.map_sanity.columns import SANITY_COLUMNS
from camray.core.metrics.model_comparison import COMPARE_COLUMNS
from camray.domain.records import ANNOTATION_COLUMNS, LABEL_COLUMNS, REFINED_COLUMNS
from camray.io.artifact_types import ArtifactFolder, path_of, table_of


class SanityFiles(ArtifactFolder):
    """``sanity/``: results of the map checks."""

    table = table_of("sanity.parquet", SANITY_COLUMNS)
    table_csv = path_of("sanity.csv")
    cascade_csv = path_of("cascade.csv")
    curves_csv = path_of("curves.csv")
    cascade_chart = path_of("cascade.png")
    curves_chart = path_of("curves.png")


class CardFiles(ArtifactFolder):
    """The model card, made again for a run."""

    markdown = path_of("card.md")
    page = path_of("card.html")


class DriftFiles(ArtifactFolder):
    """Drift of folders of predictions: the page, and the same for programs."""

    page = path_of("drift.html")
    summary = path_of("drift.json")


class RefinedFiles(ArtifactFolder):
    """``refined/``: a run before self-training, and after it."""

    table = table_of("refined.parquet", REFINED_COLUMNS)
    table_csv = path_of("refined.csv")


class ReviewFiles(ArtifactFolder):
    """``review/``: the review page."""

    index = path_of("index.html")


class ReviewedFiles(ArtifactFolder):
    """``reviewed/``: decisions of the readers, and the data set that they make."""

    decisions = path_of("decisions.parquet")
    readings = path_of("readings.parquet")
    agreement = path_of("agreement.csv")
    problems = path_of("problems.csv")
    unread = path_of("unread.csv")
    labels = table_of("labels.parquet", LABEL_COLUMNS)
    annotations = table_of("annotations.parquet", ANNOTATION_COLUMNS)
    labels_csv = path_of("labels.csv")
    boxes_csv = path_of("boxes.csv")
    manifest = path_of("manifest.yaml")
    summary = path_of("summary.json")

    def split_list(self, split: str) -> Path:
        """Return the list of a split's films."""
        return self.folder / f"split-{split}.txt"

    def split_table(self, table: Path, split: str) -> Path:
        """Return the part of `labels_csv` or `boxes_csv` that belongs to a split."""
        return table.with_name(f"{table.stem}-{split}{table.suffix}")


class ComparedFiles(ArtifactFolder):
    """``compared/`` of one network of a comparison."""

    rows = table_of("rows.parquet", COMPARE_COLUMNS)
    baselines = path_of("baselines.json")
    strip = path_of("strip.jpg")
    strip_texts = path_of("strip.json")


class ComparisonFiles(ArtifactFolder):
    """Root of a comparison of networks: its results, the shared inputs, and the samples that are explained."""

    table = path_of("comparison.csv")
    page = path_of("comparison.html")
    summary = path_of("comparison.json")
    inputs = path_of("inputs")

    def sample(self, size: str) -> Path:
        """Return the root of a sample."""
        return self.folder / "sample" / size


class SpreadFiles(ArtifactFolder):
    """Results over several seeds, in a root of their own."""

    table = path_of("spread.csv")
    headline = path_of("spread.json")
