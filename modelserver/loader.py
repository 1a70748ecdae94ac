"""How a version is loaded: by the flags, by what it says itself of batching, and warmed up before it serves."""

from dataclasses import replace
from pathlib import Path

import structlog

from modelserver.config import ConfigError, batching_of_version
from modelserver.errors import invalid_argument
from modelserver.flags import Setup
from modelserver.servable import LoadOptions, Servable
from modelserver.warmup import warm_up

_log = structlog.get_logger("modelserver.loader")


class Loader:
    """Loads versions."""

    def __init__(self, setup: Setup) -> None:
        """Takes what the flags say."""
        flags = setup.flags
        self._has_own_batching = setup.batching is not None and flags.enable_per_model_batching_parameters
        self._options = LoadOptions(
            tags=setup.tags,
            session_config=setup.session_config,
            batching=setup.batching,
            as_content=flags.enable_serialization_as_tensor_content,
            allowed_ops=setup.allowed_ops,
            checks_method_name=flags.enable_signature_method_name_check,
            warms_up=flags.enable_model_warmup,
            warm_up_iterations=max(flags.num_request_iterations_for_warmup, 1),
        )

    def __call__(self, name: str, version: int, folder: Path) -> Servable:
        """Loads a version and runs its warm-up records. Raises ServingError."""
        servable = Servable(name, version, folder, self._options_of(folder))
        try:
            records = warm_up(servable, folder)
        except BaseException:
            servable.close()
            raise
        if records:
            _log.info("warmed up", model=name, version=version, records=records)
        return servable

    def _options_of(self, folder: Path) -> LoadOptions:
        if not self._has_own_batching or self._options.batching is None:
            return self._options
        try:
            return replace(self._options, batching=batching_of_version(folder, self._options.batching))
        except ConfigError as error:
            raise invalid_argument(str(error)) from None
