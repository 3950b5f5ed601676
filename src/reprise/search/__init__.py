"""Searches: which trials of a study go on and which end early, and how a study stands."""
