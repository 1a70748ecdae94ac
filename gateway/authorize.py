"""Who may do what: a key's actions and models. What isn't allowed is denied."""

from collections.abc import Iterable

from gateway.call import Action, Principal, Selector
from gateway.errors import ActionNotAllowed, ModelNotAllowed

ANY_MODEL = "*"


def authorize(principal: Principal, action: Action, selector: Selector | None) -> None:
    """Returns where the principal may do this, to this model.

    Raises:
        ActionNotAllowed: the key doesn't allow the action.
        ModelNotAllowed: the key doesn't allow the model. The answer is the same whether there is such a model or not.
    """
    if action not in principal.actions:
        message = f"your key doesn't allow the action '{action.value}': ask for one that does"
        raise ActionNotAllowed(message)
    if selector is not None and not _allows(principal, selector.model):
        message = "your key doesn't allow this model: ask for one that does"
        raise ModelNotAllowed(message, field=selector.field)


def allowed_models(principal: Principal, names: Iterable[str]) -> list[str]:
    """Those of the names that the principal may know of, in their order."""
    return [name for name in names if _allows(principal, name)]


def _allows(principal: Principal, model: str) -> bool:
    return model in principal.models or ANY_MODEL in principal.models
