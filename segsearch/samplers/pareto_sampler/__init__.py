"""`ParetoSampler`: a sampler for Optuna that learns what is dear from what is tried, and knows what is cheap."""

from segsearch.samplers.pareto_sampler.sampler import ParetoSampler

__all__ = ["ParetoSampler"]
