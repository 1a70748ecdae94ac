"""Who may do what, held against a table of its own."""

import pytest

from gateway.authorize import allowed_models, authorize
from gateway.call import Action, Principal, Selector
from gateway.errors import ActionNotAllowed, ModelNotAllowed

# What a key allows (models, actions), what is asked (action, model), and the answer. Written out, not computed.
TABLE = [
    ("digits", "infer", "infer", "digits", "yes"),
    ("digits", "infer", "infer", "ecg", "model"),
    ("digits", "infer", "read", "digits", "action"),
    ("digits", "infer", "read", "ecg", "action"),
    ("digits", "infer", "infer", None, "yes"),
    ("digits", "infer", "read", None, "action"),
    ("digits", "read", "infer", "digits", "action"),
    ("digits", "read", "read", "digits", "yes"),
    ("digits", "read", "read", "", "model"),
    ("digits ecg", "infer read", "read", "ecg", "yes"),
    ("digits ecg", "infer read", "infer", "ecg ", "model"),
    ("digits ecg", "infer read", "infer", "ECG", "model"),
    ("*", "infer", "infer", "anything", "yes"),
    ("*", "infer", "infer", "", "yes"),
    ("*", "read", "infer", "anything", "action"),
    ("digits*", "infer", "infer", "digits2", "model"),
    ("", "infer", "infer", "digits", "model"),
    ("", "", "infer", "digits", "action"),
    ("", "", "read", None, "action"),
    ("*", "", "infer", "digits", "action"),
]
RAISED = {"model": ModelNotAllowed, "action": ActionNotAllowed}


def principal(models: str, actions: str) -> Principal:
    return Principal(key_id="k", tenant="t", models=frozenset(models.split()), actions=frozenset(Action(action) for action in actions.split()))


@pytest.mark.parametrize(("models", "actions", "action", "model", "answer"), TABLE)
def test_the_table(models: str, actions: str, action: str, model: str | None, answer: str) -> None:
    selector = None if model is None else Selector(model=model, field="model_spec.name")

    if answer == "yes":
        authorize(principal(models, actions), Action(action), selector)
        return
    with pytest.raises(RAISED[answer]) as caught:
        authorize(principal(models, actions), Action(action), selector)
    assert caught.value.field == ("model_spec.name" if answer == "model" else "")


def test_every_action_stands_in_the_table_both_allowed_and_denied() -> None:
    seen = {(action, answer == "yes") for _, _, action, _, answer in TABLE}

    assert seen == {(action.value, allowed) for action in Action for allowed in (True, False)}


def test_the_answer_does_not_say_whether_there_is_such_a_model() -> None:
    said = set()
    for model in ("digits", "made-up"):
        with pytest.raises(ModelNotAllowed) as caught:
            authorize(principal("ecg", "infer"), Action.INFER, Selector(model=model))
        said.add((caught.value.message, caught.value.field))

    assert len(said) == 1


@pytest.mark.parametrize(("models", "seen"), [("*", ["b", "a"]), ("a", ["a"]), ("a b c", ["b", "a"]), ("", [])])
def test_a_list_holds_what_is_allowed_in_its_order(models: str, seen: list[str]) -> None:
    assert allowed_models(principal(models, "read"), ["b", "a"]) == seen
