"""Independent random streams from a run's four seeds.

By a hash of what each is for, which NumPy's `SeedSequence`, made of numbers alone, has no place for.
"""

import hashlib

from reprise.reports.run import canonical


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. `derive(seed, "order", epoch)`: the first bits of BLAKE2b of the
    canonical JSON of both.

    Streams are seeded anew every epoch, so a checkpoint needs no state of a generator.
    """
    digest = hashlib.blake2b(canonical([seed, *purpose]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
