"""Tests of segsearch.training."""
