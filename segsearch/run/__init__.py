"""Trainings as folders: one network by one recipe on one data set, to weights, a curve and scores."""
