"""Random streams that never touch each other: one for every (seed, who, hour).

A counter-based generator keyed by all three gives the same draws whatever else is generated before, beside or not
at all; so a world without a fault equals the world with it outside the fault, bit for bit.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox).
"""

from datetime import UTC, datetime
from zlib import crc32

import numpy as np

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def stream(seed: int, who: str, hour: datetime) -> np.random.Generator:
    """The draws of one app or fault in one hour."""
    return np.random.Generator(np.random.Philox(key=(seed << 64) | (crc32(who.encode()) << 32) | hour_index(hour)))


def hour_index(hour: datetime) -> int:
    """Hours since the start of 2026."""
    return int((hour - EPOCH).total_seconds()) // 3600


def id_stem(seed: int, who: str, hour: datetime) -> str:
    """The start of the record ids of one app or fault in one hour; it names neither."""
    return f"{seed:x}-{crc32(who.encode()):08x}-{hour_index(hour):x}"
