"""Data manifests: the meaning of a published data set's files and tables (see data_manifests/README.md)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from camray.adapters.datasets.csv_text import plain_name
from camray.domain.labels import Code, Finding
from camray.domain.records import Split

Key = Literal["image_id", "stem", "file_name", "path", "joined_path", "any"]
ReaderPolicy = Literal["union", "majority", "fusion"]
_PlainName = Annotated[str, AfterValidator(plain_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableRules(_Section):
    """Every table: its file, and the column that names the film."""

    file: str
    more: tuple[str, ...] = ()
    instead: dict[str, str] = Field(default_factory=dict)
    key: tuple[str, ...]
    key_is: Key = "image_id"
    key_pattern: str | None = None
    ignore: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the manifest names, besides those of labels."""
        return (*self.key, *self.ignore)

    @property
    def paints_outline(self) -> bool:
        """Whether polygons include their outline."""
        return False

    @field_validator("key", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("key_pattern")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        return value if value is None else _checked_pattern(value)


class PatientTableRules(TableRules):
    """A further table that names each film's patient."""

    patient_id: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the manifest names."""
        return (*self.key, self.patient_id, *self.ignore)


class FilmRules(_Section):
    """Which files are films, and how they and their patients are identified."""

    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    image_id: Literal["sop_instance_uid", "stem", "path"] = "sop_instance_uid"
    patient: Literal["header", "table", "stem", "stem_prefix", "path"] = "header"
    patient_pattern: str | None = None
    patient_table: PatientTableRules | None = None

    @model_validator(mode="after")
    def _path_needs_pattern(self) -> "FilmRules":
        if (self.patient == "path") != (self.patient_pattern is not None):
            raise ValueError("`patient: path` needs `patient_pattern`, and `patient_pattern` needs `patient: path`")
        if self.patient_pattern is not None:
            _checked_pattern(self.patient_pattern)
        return self


class LabelTableRules(TableRules):
    """A table of the findings that are present."""

    form: Literal["wide", "joined", "one_class", "marked"] = "wide"
    column: str | None = None
    separator: str = "|"
    nothing: tuple[str, ...] = ()
    repeats: bool = False
    present: tuple[str, ...] = ("1", "yes", "true")
    absent: tuple[str, ...] = ("0", "no", "false")
    uncertain: tuple[str, ...] = ("-1", "uncertain")
    empty: Literal["unknown", "absent"] = "unknown"
    reader: str | None = None
    patient_id: tuple[str, ...] = ()
    view: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    age: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    split: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the manifest names, besides those of labels."""
        named = (*(name for names in self.facts for name in names), self.column, self.reader)
        return (*self.key, *self.ignore, *(name for name in named if name))

    @property
    def facts(self) -> tuple[tuple[str, ...], ...]:
        """Columns of facts about films, in the order of `label_table.FACTS`."""
        return self.patient_id, self.view, self.sex, self.age, self.site, self.split

    @field_validator("patient_id", "view", "sex", "age", "site", "split", mode="before")
    @classmethod
    def _none_one_or_many(cls, value: Any) -> Any:
        return () if value is None else (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _needs_column(self) -> "LabelTableRules":
        if self.form != "wide" and self.column is None:
            raise ValueError(f"form '{self.form}' needs `column`: the column with the names")
        return self


class MaskRules(_Section):
    """A column of masks."""

    column: str
    form: Literal["relative", "absolute", "coco"]
    none: tuple[str, ...] = ()
    outline: bool = False  # whether a polygon's outline is painted too, as in the masks published with CheXlocalize


class BoxTableRules(TableRules):
    """A table of the locations of findings."""

    label: str | None = None
    constant: str | None = None
    corners: tuple[str, str, str, str] | None = None
    size: tuple[str, str, str, str] | None = None
    mask: MaskRules | None = None
    inclusive: bool = False
    frame: Literal["native"] | tuple[int, int] | tuple[str, str] = "native"
    reader: str | None = None
    kind: str | None = None
    empty: Literal["fault", "skip"] = "fault"
    nothing: tuple[str, ...] = ()
    implies_label: bool = True

    @property
    def paints_outline(self) -> bool:
        """Whether polygons include their outline."""
        return self.mask is not None and self.mask.outline

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the manifest names."""
        frame = self.frame if self.frame != "native" else ()
        mask = self.mask.column if self.mask else None
        named = (*(self.corners or self.size or ()), *map(str, frame), self.label, self.reader, self.kind, mask)
        return (*self.key, *self.ignore, *(name for name in named if name))

    @model_validator(mode="after")
    def _one_of_each(self) -> "BoxTableRules":
        if (self.label is None) == (self.constant is None):
            raise ValueError("give either `label` (a column) or `constant` (a name)")
        if sum(form is not None for form in (self.corners, self.size, self.mask)) != 1:
            raise ValueError("give one of `corners` [x0, y0, x1, y1], `size` [x, y, width, height] and `mask`")
        return self


class _CodeRules(_Section):
    value: str
    scheme: str
    meaning: str


class LabelRules(_Section):
    """One label."""

    name: _PlainName
    column: _PlainName | None = None
    aliases: tuple[_PlainName, ...] = ()
    code: _CodeRules | None = None
    any_of: tuple[_PlainName, ...] = ()
    localizable: bool = True

    def finding(self) -> Finding:
        """Return the finding of this label."""
        code = None if self.code is None else Code(self.code.value, self.code.scheme, self.code.meaning)
        return Finding(self.name, code, self.any_of, self.localizable, self.aliases)


class Manifest(_Section):
    """Definition of a data set."""

    name: str
    title: str
    licence: str
    citation: str
    how_to_obtain: str
    complete: bool = False
    films: FilmRules = FilmRules()
    label_table: LabelTableRules | None = None
    box_table: BoxTableRules | None = None
    readers: ReaderPolicy = "union"
    unmarked_absent: tuple[str, ...] = ()
    splits: dict[Split, str] = Field(default_factory=dict)
    split_key_is: Key | None = None
    expected: dict[Literal["films", "patients", "rows", "boxes", "boxed_films"], int] = Field(default_factory=dict)
    labels: tuple[LabelRules, ...] | Literal["auto"]

    @model_validator(mode="after")
    def _check_labels(self) -> "Manifest":
        if self.labels == "auto":
            return self
        names = [label.name for label in self.labels]
        spellings = [spelling for label in self.labels for spelling in (label.name, *label.aliases)]
        repeated = sorted({spelling for spelling in spellings if spellings.count(spelling) > 1})
        if repeated:
            raise ValueError(f"names or aliases used twice: {', '.join(repeated)}")
        for index, label in enumerate(self.labels):
            unknown = sorted(set(label.any_of) - set(names[:index]))
            if unknown:
                raise ValueError(f"'{label.name}' is derived from labels that are not listed before it: {unknown}")
        return self

    def findings(self) -> tuple[Finding, ...]:
        """Return the findings in order; empty if they are read from the tables (``auto``)."""
        return () if self.labels == "auto" else tuple(label.finding() for label in self.labels)


def _checked_pattern(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"'{pattern}' needs exactly one group, around the name")
    return pattern
