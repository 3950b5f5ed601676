"""The engine: trains lists of runs and saves their results."""
