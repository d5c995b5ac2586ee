"""Options of explanation methods from the settings of a run."""

from camray.adapters.settings.schema import ExplainSettings
from camray.core.explain.method_options import IntegrationOptions, MethodOptions, OcclusionOptions


def method_options(settings: ExplainSettings) -> MethodOptions:
    """Return the options of explanation methods that a run's settings ask for."""
    return MethodOptions(
        IntegrationOptions(**settings.integrated_gradients.model_dump()),
        OcclusionOptions(**settings.occlusion.model_dump()),
    )
