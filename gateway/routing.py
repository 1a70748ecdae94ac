"""Chooses the version that answers: by its number, by its label, or the newest that is ready and, where there is one, no trial."""

from gateway.call import Route, Selector
from gateway.catalog import Catalog, VersionState
from gateway.errors import FieldInvalid, LabelNotFound, ModelNotFound, ModelNotServed, VersionNotFound, VersionNotReady
from gateway.manifest import Manifest

# A version in one of these states may answer: it does, or the model server can't be asked and might.
_MAY_ANSWER = frozenset({VersionState.AVAILABLE, VersionState.UNKNOWN})


class Router:
    """Reads the catalog's tables; keeps no rule of its own."""

    def __init__(self, catalog: Catalog) -> None:
        """Takes the tables to read."""
        self._catalog = catalog

    def resolve(self, selector: Selector) -> Route:
        """The route of a call of the public API.

        Raises:
            FieldInvalid: the call names no model.
            ModelNotFound, VersionNotFound, LabelNotFound: there is none of that name or number.
            ModelNotServed: it is published, and the model server knows no version of it.
            VersionNotReady: it exists and isn't loaded.
        """
        model = selector.model
        if not model:
            message = "name the model to ask"
            raise FieldInvalid(message, field="model.name")
        versions = self._catalog.published.get(model)
        if not versions:
            message = "there is no model of that name: CatalogService.ListModels lists those that your key allows"
            raise ModelNotFound(message, field="model.name")
        if self._catalog.is_unknown(model):
            message = (
                "the model is published, and the model server doesn't know it: "
                "whoever runs that has to list it in its models.config, unless it was published a moment ago"
            )
            raise ModelNotServed(message, field="model.name")
        version, field = self._choose(selector)
        if version not in versions:
            message = f"the model has no version {version}; it has {', '.join(map(str, sorted(versions)))}"
            raise VersionNotFound(message, field=field)
        state = self._catalog.state(model, version)
        if state not in _MAY_ANSWER:
            message = f"version {version} is not loaded ({state.name.lower()}): try again later, or ask for another version"
            raise VersionNotReady(message, field=field)
        return Route(
            model=model,
            version=version,
            label=selector.label or "",
            manifest=versions[version].manifest,
            by_default=selector.version is None and selector.label is None,
        )

    def resolve_dropin(self, selector: Selector) -> Route:
        """The route of a call of TensorFlow Serving's API.

        A label of ours becomes its version. What isn't ours to choose or to refuse is left to the model server, which answers as it would
        without a gateway: so a model without a manifest can be called, an unknown one gets TensorFlow Serving's own words, and a call that names no
        version gets the newest, though it be a trial. A version of our choice might be unloaded by the time that the call arrives.
        """
        version = selector.version
        if selector.label is not None:
            version = self._catalog.labels.get(selector.model, {}).get(selector.label)
        published = self._catalog.published.get(selector.model, {}).get(version) if version is not None else None
        manifest = None if published is None else published.manifest
        return Route(model=selector.model, version=version, label=selector.label or "", manifest=manifest)

    def manifest_for(self, route: Route) -> Manifest | None:
        """The manifest of a drop-in route: its version's, or that of the version which the model server chooses; None where there is none."""
        if route.version is not None:
            return route.manifest
        version = self._catalog.newest_version(route.model)
        return None if version is None else self._catalog.published[route.model][version].manifest

    def _choose(self, selector: Selector) -> tuple[int, str]:
        """The version that a selector means, and the field that said so."""
        if selector.version is not None:
            return selector.version, "model.version"
        if selector.label is not None:
            labels = self._catalog.labels.get(selector.model, {})
            if selector.label not in labels:
                message = f"the model has no such label; it has {', '.join(sorted(labels)) or 'none'}"
                raise LabelNotFound(message, field="model.version_label")
            return labels[selector.label], "model.version_label"
        version = self._catalog.default_version(selector.model)
        if version is None:
            message = "no version of the model is loaded yet: try again later"
            raise VersionNotReady(message, field="model.name")
        return version, "model.name"
