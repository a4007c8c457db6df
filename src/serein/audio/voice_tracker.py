"""Where someone speaks, told while they speak: the rules of `serein.audio.voice`, chunk by chunk.

A stretch is where the probability stays above 0.7 x threshold and reaches the threshold at least
once; short pauses are bridged, short stretches dropped.
"""

from __future__ import annotations

from serein.audio.voice import LEAVE

HOVER = 31  # chunks, 1 s: so long may it stay undecided between the two thresholds


class VoiceTracker:
    """Turns the probabilities of consecutive chunks into stretches of speech.

    Parameters
    ----------
    min_speech, min_pause : int
        A shorter stretch is no speech, a shorter pause belongs to the speech around it; in chunks.
    threshold : float
        Probability that speech has to reach, above 0 and at most 1.

    Attributes
    ----------
    start : int or None
        First chunk of the stretch that goes on; None where nobody speaks, or not yet for long.
    last : int
        Chunk after the last one with speech.

    Examples
    --------
    >>> tracker = VoiceTracker(min_speech=2, min_pause=2)
    >>> [tracker.push(p) for p in (0.1, 0.4, 0.9, 0.1, 0.9, 0.1, 0.1)]
    [None, None, None, None, None, None, (1, 5)]
    """

    start: int | None
    last: int

    def __init__(self, min_speech: int, min_pause: int, threshold: float = 0.5) -> None:
        self._min_speech, self._min_pause, self._threshold = min_speech, min_pause, threshold
        self._now = 0
        self._clear()

    def push(self, probability: float) -> tuple[int, int] | None:
        """Take in the next chunk.

        Parameters
        ----------
        probability : float
            Of speech, 0 to 1.

        Returns
        -------
        tuple of int, or None
            First chunk, and chunk after the last, of the stretch that has just been found to be
            over; None where none has.
        """
        self._extend(probability)
        self._now += 1
        if self._begun is None:
            return None
        if self.last - self._begun >= self._min_speech:
            self.start = self._begun
        return self.close() if self._is_over() else None

    def close(self) -> tuple[int, int] | None:
        """End the stretch here, though speech may go on, and return it as `push` does."""
        found = None if self.start is None else (self.start, self.last)
        self._clear()
        return found

    def _clear(self) -> None:
        self.start = None
        self.last = 0
        self._begun: int | None = None  # of a stretch that may yet be too short
        self._run: int | None = None  # since when it is above the lower threshold
        self._reached = False  # whether it has been at the upper one since then

    def _extend(self, probability: float) -> None:
        if probability < LEAVE * self._threshold:
            self._run, self._reached = None, False
            return
        if self._run is None:
            self._run = self._now
        self._reached |= probability >= self._threshold
        if self._reached:
            self._begun = self._run if self._begun is None else self._begun
            self.last = self._now + 1

    def _is_over(self) -> bool:
        silent = self._now - self.last
        if self._run is not None and not self._reached:  # it may yet turn out to be speech
            return self._run - self.last >= self._min_pause or silent >= self._min_pause + HOVER
        return silent >= self._min_pause
