"""Archives to verified arrays: fetch, verify, decode; statistics; splits; augmentation; synthetic
stand-ins.
"""
