"""SupCAM: the type and the number of chromosomes of every cluster in a metaphase picture."""

from supcam.core.types import ClusterType as ClusterType
from supcam.core.types import Decision as Decision
from supcam.core.types import Prediction as Prediction
from supcam.core.types import SupcamError as SupcamError

__version__ = "0.1.0"

__all__ = ["ClusterType", "Decision", "Prediction", "SupcamError", "__version__"]
