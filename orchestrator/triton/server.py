"""One Triton, as who sends items to it sees it."""


class Server:
    """Changed by the pool alone."""

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name  # host:port
        self.up = False  # the model answers
        self.in_flight = 0  # sent and unanswered on the present connection
        self.capacity = capacity  # how many of them there may be
        self.most = capacity
        self.heard_at = float("-inf")  # when it last gave a good answer, by the monotonic clock
        self._good = 0

    @property
    def free(self) -> int:
        return self.capacity - self.in_flight

    def answered(self) -> None:
        """A good answer: after as many as fill it, it may take a tenth more again."""
        if self.capacity < self.most:
            self._good += 1
            if self._good >= self.capacity:
                self._good = 0
                self.capacity = min(self.most, self.capacity + max(1, self.capacity // 10))

    def slow(self) -> None:
        """An item's time was up: it gets fewer."""
        self.capacity = max(1, self.capacity // 2)
        self._good = 0
