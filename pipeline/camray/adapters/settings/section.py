"""Base model of a section of settings: frozen, and an unknown key is an error."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
