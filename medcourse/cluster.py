"""Other machines: a Dask scheduler whose workers do the jobs of ``medcourse reproduce`` and ``medcourse grade``."""

from typing import Any

from medcourse.errors import TrainingError


def dask_client(scheduler: str) -> Any:
    """A client of a Dask scheduler, once it has a worker.

    Args:
        scheduler: its address.

    Raises:
        TrainingError: Dask is not installed, or the scheduler cannot be reached or has no worker.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise TrainingError("--scheduler needs Dask: pip install 'medcourse[cluster]'") from error
    try:
        client = Client(scheduler, set_as_default=False)
        client.wait_for_workers(1, timeout=60)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the Dask scheduler at {scheduler} cannot be used: {error}") from error
    return client
