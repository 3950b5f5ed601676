"""What finished runs have found: how their files fit together, and the caches that share them. No torch."""
