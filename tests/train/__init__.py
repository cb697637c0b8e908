"""Tests of segsearch.train."""
