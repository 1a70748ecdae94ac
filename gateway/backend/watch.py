"""Keeps the catalog's table of what the model server says of each published model."""

import asyncio

import structlog

from gateway.backend.client import Backend
from gateway.catalog import Catalog
from gateway.errors import BackendUnavailable, DeadlineExceeded, MedserveError

_log = structlog.get_logger("gateway.backend")


class StatusWatch:
    """Asks where the versions of a model stand: at intervals, and when a call finds the table out of date."""

    def __init__(self, backend: Backend, catalog: Catalog, *, timeout_seconds: float) -> None:
        """Takes whom to ask and the table to keep."""
        self._backend = backend
        self._catalog = catalog
        self._timeout_seconds = timeout_seconds
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self.is_reachable: bool | None = None

    async def refresh(self, model: str) -> None:
        """Asks about one model now. Calls that come while one is being asked share its answer."""
        task = self._refreshing.get(model)
        if task is None:
            task = self._refreshing[model] = asyncio.create_task(self._refresh(model))
            task.add_done_callback(lambda _: self._refreshing.pop(model, None))
        # A caller that goes away must not take the answer from the others.
        await asyncio.shield(task)

    async def _refresh(self, model: str) -> None:
        try:
            states = await self._backend.status(model, self._timeout_seconds)
        except MedserveError as error:
            self._catalog.set_states(model, None)
            # A server that refuses or answers nonsense about one model is there all the same.
            self._set_reachable(reachable=not isinstance(error, BackendUnavailable | DeadlineExceeded), reason=error.reason)
        else:
            before = self._catalog.states.get(model)
            self._catalog.set_states(model, states)
            self._set_reachable(reachable=True)
            for version in states if before != states else ():
                if (before or {}).get(version) is not states[version]:
                    _log.info("version state", model=model, version=version, state=states[version].name)

    def _set_reachable(self, *, reachable: bool, reason: str = "") -> None:
        if reachable is not self.is_reachable:
            self.is_reachable = reachable
            if reachable:
                _log.info("model server reached")
            else:
                _log.warning("model server not reached", reason=reason)
