"""Our own exceptions. Foreign ones are translated into these where they enter."""


class AvaluaError(Exception):
    """The base of every error that we raise on purpose."""


class StartError(AvaluaError):
    """The service can't start; the message is the one line that the operator sees."""


class StoreUnavailableError(AvaluaError):
    """The database can't be used just now: locked, full, unreachable or damaged."""


class StreamBrokenError(AvaluaError):
    """The gRPC stream to Triton ended, or can't be used any more."""


class IllegalTransitionError(AvaluaError):
    """A job was asked to make a move that its status does not allow."""


class DuplicateResultError(AvaluaError):
    """An item was about to get a second result."""


class ClosedError(AvaluaError):
    """Something was added to a job that has already ended."""


class QueueFullError(AvaluaError):
    """As many jobs as allowed are waiting already."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many jobs are waiting")
        self.retry_after_s = retry_after_s


class DrainingError(AvaluaError):
    """The service is shutting down and takes no new jobs."""


class NotLoadedError(AvaluaError):
    """The model has not been loaded since this service started."""
