"""Training batches in equal shares of processor time."""

import time


class Shares:
    """Batches of a loader; every iteration is a share of processor time instead of a pass.

    The passes go on from share to share, so that every structure is seen once before any is seen
    again.  ``start`` may be put off by time that does not count.

    Args:
        seconds: of all shares together.
        count: number of shares.
    """

    def __init__(self, seconds, count):
        self.seconds, self.count = seconds, count
        self.share = self.batches = 0

    def begin(self, loader):
        """Start the clock.

        Args:
            loader: shuffles in every pass.
        """
        self.loader, self.endless = loader, self._passes()
        self.start = time.process_time()

    def spent(self):
        """Seconds of training."""
        return time.process_time() - self.start

    def _passes(self):
        while True:
            yield from self.loader

    def __iter__(self):
        self.share += 1
        while self.spent() < self.seconds * self.share / self.count:
            self.batches += 1
            yield next(self.endless)
