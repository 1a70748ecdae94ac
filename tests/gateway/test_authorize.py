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
# The same for what touches every model, whatever it names.
TABLE += [
    ("*", "reload", "reload", None, "yes"),
    ("* ecg", "reload", "reload", "digits", "yes"),
    ("digits ecg", "reload", "reload", None, "every model"),
    ("digits", "reload", "reload", "digits", "every model"),
    ("", "reload", "reload", None, "every model"),
    ("*", "infer read", "reload", None, "action"),
    ("digits", "infer read", "reload", None, "action"),
    ("*", "reload", "infer", "digits", "action"),
    ("*", "reload", "read", "digits", "action"),
]
RAISED = {"model": ModelNotAllowed, "action": ActionNotAllowed, "every model": ModelNotAllowed}


def principal(models: str, actions: str) -> Principal:
    return Principal(key_id="k", tenant="t", models=frozenset(models.split()), actions=frozenset(Action(action) for action in actions.split()))


@pytest.mark.parametrize(("models", "actions", "action", "model", "answer"), TABLE)
def test_the_table(models: str, actions: str, action: str, model: str | None, answer: str) -> None:
    selectors = () if model is None else (Selector(model=model, field="model_spec.name"),)

    if answer == "yes":
        authorize(principal(models, actions), Action(action), selectors)
        return
    with pytest.raises(RAISED[answer]) as caught:
        authorize(principal(models, actions), Action(action), selectors)
    assert caught.value.field == ("model_spec.name" if answer == "model" else "")


@pytest.mark.parametrize(("named", "denied"), [("digits ecg digits", 1), ("ecg digits", 0), ("digits digits ecg", 2)])
def test_every_model_that_is_named_has_to_be_allowed(named: str, denied: int) -> None:
    selectors = [Selector(model=model, field=f"tasks[{number}]") for number, model in enumerate(named.split())]

    with pytest.raises(ModelNotAllowed) as caught:
        authorize(principal("digits", "infer"), Action.INFER, selectors)

    assert caught.value.field == f"tasks[{denied}]"


def test_every_action_stands_in_the_table_both_allowed_and_denied() -> None:
    seen = {(action, answer == "yes") for _, _, action, _, answer in TABLE}

    assert seen == {(action.value, allowed) for action in Action for allowed in (True, False)}


def test_the_answer_does_not_say_whether_there_is_such_a_model() -> None:
    said = set()
    for model in ("digits", "made-up"):
        with pytest.raises(ModelNotAllowed) as caught:
            authorize(principal("ecg", "infer"), Action.INFER, [Selector(model=model)])
        said.add((caught.value.message, caught.value.field))

    assert len(said) == 1


@pytest.mark.parametrize(("models", "seen"), [("*", ["b", "a"]), ("a", ["a"]), ("a b c", ["b", "a"]), ("", [])])
def test_a_list_holds_what_is_allowed_in_its_order(models: str, seen: list[str]) -> None:
    assert allowed_models(principal(models, "read"), ["b", "a"]) == seen
