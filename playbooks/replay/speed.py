"""One loop, two speeds: plain Python for the few rows of an incident, Numba where the work repays its compiler."""

from collections.abc import Callable

import numpy as np

COMPILE_AT = 1_000_000
"""Rows. Plain Python takes about as long for them as importing and running the compiler (1 to 2 s): whoever asks for
less never pays for it, and nobody waits twice as long as the better choice would have taken (the ski-rental rule)."""


class Kernel:
    """A loop over integers, written once; Numba compiles the same source when enough rows have been asked for.

    The source takes arrays and integers, writes into its last `outputs` arguments, and returns an integer.
    """

    def __init__(self, source: Callable[..., int], *, outputs: int, compile_at: int = COMPILE_AT) -> None:
        """`outputs`: how many of the last arguments it writes into; `compile_at`: from how many rows on it pays."""
        self._source = source
        self._outputs = outputs
        self._compile_at = compile_at
        self._rows = 0
        self._compiled: Callable[..., int] | None = None

    def __call__(self, rows: int, *arguments: object) -> int:
        """Run over `rows` rows at the speed that pays."""
        return self.fast(*arguments) if self.pays(rows) else self.plain(*arguments)

    def pays(self, rows: int) -> bool:
        """Ask for so many rows more: whether compiled code pays for all that this process has asked for."""
        self._rows += rows
        return self._compiled is not None or self._rows >= self._compile_at

    def plain(self, *arguments: object) -> int:
        """Run the source as it stands; arrays become lists, which Python reads several times faster."""
        lists = [one.tolist() if isinstance(one, np.ndarray) else one for one in arguments]
        result = self._source(*lists)
        for array, values in zip(arguments[-self._outputs :], lists[-self._outputs :], strict=True):
            assert isinstance(array, np.ndarray)
            array[...] = values
        return int(result)

    def fast(self, *arguments: object) -> int:
        """Run it compiled for the types of the arguments; the first time compiles, for a second or so."""
        if self._compiled is None:
            from numba import njit  # half a second that no other command pays for

            self._compiled = njit(error_model="numpy")(self._source)
        return int(self._compiled(*arguments))
