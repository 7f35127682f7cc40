"""From a spec's source to checked networks."""

from archdsl.elaborate.check import Checked, check_source
from archdsl.elaborate.modules import load_module, read
from archdsl.elaborate.run import elaborate
from archdsl.elaborate.variants import default_model, models_in, parameters

__all__ = ["Checked", "check_source", "default_model", "elaborate", "load_module", "models_in", "parameters", "read"]
