"""SupCAM: the type and the number of chromosomes of every cluster in a metaphase picture."""

from supcam.core.types import ClusterType as ClusterType
from supcam.core.types import Decision as Decision
from supcam.core.types import Prediction as Prediction
from supcam.core.types import SupcamError as SupcamError
from supcam.pack.bundle import Model as Model
from supcam.pack.bundle import load_model as load_model
from supcam.spread.analyze import analyze as analyze
from supcam.spread.result import Analysis as Analysis
from supcam.spread.routing import Routable as Routable
from supcam.spread.routing import Routed as Routed
from supcam.spread.routing import route as route

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "ClusterType",
    "Decision",
    "Model",
    "Prediction",
    "Routable",
    "Routed",
    "SupcamError",
    "__version__",
    "analyze",
    "load_model",
    "route",
]
