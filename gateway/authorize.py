"""Who may do what: a key's actions and models. What isn't allowed is denied."""

from collections.abc import Iterable

from gateway.call import Action, Principal, Selector
from gateway.errors import ActionNotAllowed, ModelNotAllowed

ANY_MODEL = "*"

# What touches the models that it doesn't name as well: it takes a key for every model.
_ON_EVERY_MODEL = frozenset({Action.RELOAD})


def authorize(principal: Principal, action: Action, selectors: Iterable[Selector] = ()) -> None:
    """Returns where the principal may do this, to each of these models.

    Raises:
        ActionNotAllowed: the key doesn't allow the action.
        ModelNotAllowed: the key doesn't allow a model. The answer is the same whether there is such a model or not.
    """
    if action not in principal.actions:
        message = f"your key doesn't allow the action '{action.value}': ask for one that does"
        raise ActionNotAllowed(message)
    if action in _ON_EVERY_MODEL and ANY_MODEL not in principal.models:
        message = f"the action '{action.value}' touches every model, and your key doesn't allow them all: ask for one that does"
        raise ModelNotAllowed(message)
    for selector in selectors:
        if not _allows(principal, selector.model):
            message = "your key doesn't allow this model: ask for one that does"
            raise ModelNotAllowed(message, field=selector.field)


def allowed_models(principal: Principal, names: Iterable[str]) -> list[str]:
    """Those of the names that the principal may know of, in their order."""
    return [name for name in names if _allows(principal, name)]


def _allows(principal: Principal, model: str) -> bool:
    return model in principal.models or ANY_MODEL in principal.models
