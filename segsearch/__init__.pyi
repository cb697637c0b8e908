from segsearch.api import Evaluation as Evaluation
from segsearch.api import cost as cost
from segsearch.api import create_model as create_model
from segsearch.api import deploy as deploy
from segsearch.api import evaluate as evaluate
from segsearch.api import export as export
from segsearch.api import latency as latency
from segsearch.api import list_models as list_models
from segsearch.api import load_model as load_model
from segsearch.api import normalise as normalise
from segsearch.api import open_study as open_study
from segsearch.api import own_data as own_data
from segsearch.api import save_weights as save_weights
from segsearch.api import search as search
from segsearch.api import train as train
from segsearch.errors import BudgetError as BudgetError
from segsearch.errors import DeviceError as DeviceError
from segsearch.errors import DivergedError as DivergedError
from segsearch.errors import InputError as InputError
from segsearch.errors import MachineError as MachineError
from segsearch.errors import MissingExtraError as MissingExtraError
from segsearch.errors import ProofError as ProofError
from segsearch.errors import SegsearchError as SegsearchError
from segsearch.samplers.pareto_sampler import ParetoSampler as ParetoSampler

__all__: list[str]
__version__: str
