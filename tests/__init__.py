"""Tests of segsearch: one folder for each of its packages, and what several of them share beside this file."""
