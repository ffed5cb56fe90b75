"""Our own exceptions. Foreign ones are translated into these where they enter."""


class AvaluaError(Exception):
    """The base of every error that we raise on purpose."""


class StartError(AvaluaError):
    """The service can't start; the message is the one line that the operator sees."""


class StoreUnavailableError(AvaluaError):
    """The database can't be used just now: locked, full, unreachable or damaged."""


class ContentRefusedError(AvaluaError):
    """The database refuses what was to be written, for what it says: trying again would not help."""


class StaleEpochError(AvaluaError):
    """Claims count no longer: somebody else has the jobs since, or they have ended. Nothing was written."""

    def __init__(self, claims: frozenset[tuple[str, int]]) -> None:
        """`claims`: of each the job's id and the epoch."""
        super().__init__("jobs were claimed by another worker or have ended")
        self.claims = claims

    @property
    def job_ids(self) -> frozenset[str]:
        return frozenset(job_id for job_id, _ in self.claims)


class UnreadableJobError(AvaluaError):
    """What is stored of a job can't be understood."""


class JobExpiredError(AvaluaError):
    """A job's events were deleted, because it expired, while somebody read them."""


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

    def __init__(self, workers: int = 1) -> None:
        """``workers``: how many processes work on jobs."""
        super().__init__()
        self.workers = workers
