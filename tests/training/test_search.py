"""Better settings: looked for on validation items alone, the same from the same seed, and through a kill."""

import argparse
import fcntl
import json
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.pruners import MedianPruner

from training.alone import AtWork
from training.fitting import fit, progress
from training.fitting.fit import Diverged, Fitted, GivenUp
from training.fitting.monitor import EarlyStopping, ReduceOnPlateau
from training.fitting.plan import Plan
from training.jobs import JOBS
from training.search import NothingToSearch, _Shown, add_command, run, search
from training.search_found import Found
from training.search_pruning import FEWEST, limits, unjudged
from training.search_space import Number, OneOf, Space, Whole, around
from training.search_study import named, study
from training.tasks.classification import Classification
from training.tasks.task import Bench

SCRIPT = Path(__file__).with_name("search_job.py")


def _of_file(file: Path) -> Any:
    spec = util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


told = _of_file(SCRIPT)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("searched")


@pytest.fixture(scope="module")
def found(said: list[str], folder: Path) -> Found:
    """Of three trials, with a held-out part that raises when it is read."""
    return search(told.job(), told.data(), told.SPACE, trials=told.TRIALS, storage=folder, say=said.append)


def _without_seconds(found: Found) -> Any:
    return [(each.settings, each.value) for each in found.tried], found.settings, found.value, found.own


def test_the_held_out_part_of_these_tests_can_not_be_read() -> None:
    with pytest.raises(AssertionError, match="the held-out inputs was read"):
        _ = told.data().held_out.inputs
    with pytest.raises(AssertionError, match="counted"):
        len(told.data().held_out)


def test_the_best_of_all_trials_is_found_and_the_jobs_own_settings_are_the_first(found: Found) -> None:
    assert len(found.tried) == told.TRIALS
    assert found.tried[0].settings == {"learning_rate": 0.01, "batch_size": 8}
    assert found.own == found.tried[0].value
    assert found.value == min(each.value for each in found.tried if each.value is not None)
    assert found.settings == next(each.settings for each in found.tried if each.value == found.value)
    assert len({each.settings["learning_rate"] for each in found.tried}) == told.TRIALS


def test_the_value_is_what_a_fit_with_these_settings_shows_of_validation_items(found: Found) -> None:
    data, task = told.data(), told.job().task
    fitted = replace(task, plan=replace(task.plan, **found.settings)).fit(data.training, data.validation, Bench(say=lambda _: None))

    assert fitted.history[-1]["val_loss"] == found.value
    said = np.asarray(fitted.model(data.validation.inputs))[np.arange(32), data.validation.targets]
    assert -np.log(said).mean() == pytest.approx(found.value, rel=1e-5)


def test_each_trial_is_told_in_one_line(found: Found, said: list[str]) -> None:
    lines = said[: told.TRIALS]

    assert [line.split(":")[0] for line in lines] == ["trial 1/3", "trial 2/3", "trial 3/3"]
    assert lines[0] == f"trial 1/3: learning_rate 0.01  batch_size 8: val_loss {found.own:.4f}, the best so far"


def test_what_was_found_can_be_written_into_a_plan(found: Found) -> None:
    first, settings = str(found).splitlines()

    assert f"of 3 trials in {sum(each.seconds for each in found.tried):.0f} s: {found.value:.4f}; the job's own settings: {found.own:.4f}" in first
    assert eval(f"dict({settings})") == found.settings


@pytest.mark.usefixtures("found")
def test_a_finished_search_is_not_done_again_and_more_trials_go_on(found: Found, folder: Path) -> None:
    said: list[str] = []

    again = search(told.job(build=None), told.data(), told.SPACE, trials=told.TRIALS, storage=folder, say=said.append)

    assert again == found
    assert said == ["going on: 3 of 3 trials are done"]


def test_a_search_that_was_killed_comes_to_what_it_would_have_come_to(found: Found, tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path), "2"], capture_output=True, check=False, timeout=250)
    assert killed.returncode == -signal.SIGKILL
    said: list[str] = []

    again = search(told.job(), told.data(), told.SPACE, trials=2, storage=tmp_path, say=said.append)

    assert said[0] == "going on: 1 of 2 trials are done"
    assert [(each.settings, each.value) for each in again.tried] == [(each.settings, each.value) for each in found.tried[:2]]


def test_a_trial_that_was_interrupted_goes_on_from_its_checkpoint(found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def line(*args: Any) -> str:
        if len(ended) == 1:
            raise KeyboardInterrupt
        ended.append(progress.line(*args))
        return ended[-1]

    monkeypatch.setattr(fit, "line", line)
    with pytest.raises(KeyboardInterrupt):
        search(told.job(), told.data(), told.SPACE, trials=1, storage=tmp_path, say=lambda _: None)
    assert list((tmp_path / "checkpoints").glob("*.npz"))
    monkeypatch.setattr(fit, "line", lambda epoch, *_: ended.append(f"epoch {epoch + 1}"))
    again = search(told.job(), told.data(), told.SPACE, trials=1, storage=tmp_path, say=lambda _: None)

    assert ended[1:] == ["epoch 2"]
    assert again.value == found.own
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.fixture
def without_fits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A trial's figure is how far its learning rate is from 0.1, in decades, and the number of items; these figures, in order."""
    made: list[float] = []

    def shown(of: Any, settings: Any, _: Any) -> Any:
        made.append(abs(np.log10(settings["learning_rate"]) + 1) + len(of.data.training))
        return _Shown(value=made[-1], of_epochs=())

    monkeypatch.setattr("training.search._Search._shown", shown)
    return made


@pytest.mark.usefixtures("without_fits")
def test_a_search_that_stopped_again_and_again_proposes_what_one_without_a_stop_does(tmp_path: Path) -> None:
    # More than the ten that the estimator has before it estimates anything.
    whole = search(told.job(), told.data(), told.SPACE, trials=16, storage=None, say=lambda _: None)
    in_parts = [search(told.job(), told.data(), told.SPACE, trials=trials, storage=tmp_path, say=lambda _: None) for trials in (1, 2, 12, 13, 16)]

    assert [each.settings for each in in_parts[-1].tried] == [each.settings for each in whole.tried]
    assert len({each.settings["learning_rate"] for each in whole.tried}) == 16
    assert whole.own is not None
    assert whole.value < whole.own


@pytest.mark.usefixtures("without_fits")
def test_another_seed_tries_other_settings() -> None:
    one, other = (search(told.job(seed=seed), told.data(), told.SPACE, trials=2, storage=None, say=lambda _: None) for seed in (2, 3))

    assert one.tried[0].settings == other.tried[0].settings
    assert one.tried[1].settings != other.tried[1].settings


@pytest.mark.usefixtures("without_fits")
def test_settings_that_are_not_in_the_space_are_not_tried() -> None:
    found = search(told.job(learning_rate=2.0), told.data(), told.SPACE, trials=2, storage=None, say=lambda _: None)

    assert found.own is None
    assert all(each.settings["learning_rate"] <= 1 for each in found.tried)


def test_other_items_or_another_plan_are_another_search(found: Found, folder: Path, without_fits: list[float]) -> None:
    data = told.data()
    fewer = replace(data, training=data.training.of(slice(32)))
    narrower = Space(settings={"learning_rate": told.SPACE.settings["learning_rate"]})

    for job, items, space in ((told.job(), fewer, told.SPACE), (told.job(weight_decay=0.1), data, told.SPACE), (told.job(), data, narrower)):
        search(job, items, space, trials=1, storage=folder, say=lambda _: None)

    assert without_fits == [33, 65, 65]
    assert search(told.job(), data, told.SPACE, trials=3, storage=folder, say=lambda _: None) == found


def test_a_trial_that_diverges_is_told_and_the_others_go_on() -> None:
    said: list[str] = []
    schedules = tuple(ReduceOnPlateau(patience=patience) for patience in (1, 2))
    space = Space(settings={"learning_rate": OneOf(choices=(1e-2, 1e38)), "schedule": OneOf(choices=schedules)})
    job = told.job(learning_rate=1e38, schedule=schedules[0], seed=1)

    found = search(job, told.data(), space, trials=2, storage=None, say=said.append)

    what = "learning_rate 1e+38  schedule ReduceOnPlateau(patience=1)"
    assert said[0] == f"trial 1/2: {what}: no val_loss, the fit diverged or wanted more memory than there is"
    assert found.own is None
    assert found.tried[0].value is None
    assert found.settings["learning_rate"] == 1e-2
    assert found.settings["schedule"] in schedules
    assert eval(f"dict({str(found).splitlines()[1]})", {"ReduceOnPlateau": ReduceOnPlateau}) == found.settings
    assert "1 without a figure" in str(found)


def test_what_is_left_in_the_study_by_a_search_that_was_killed_before_its_first_trial_is_used(tmp_path: Path, without_fits: list[float]) -> None:
    with study(named("told", told.job().task.plan, told.data(), told.SPACE), tmp_path) as kept:
        kept.enqueue_trial({"learning_rate": 0.01, "batch_size": "8"})

    found = search(told.job(), told.data(), told.SPACE, trials=2, storage=tmp_path, say=lambda _: None)

    assert found.own == without_fits[0] == 65
    assert found.tried[1].settings != found.tried[0].settings


def test_where_no_trial_comes_to_a_figure_it_says_so() -> None:
    def too_large(_: Any) -> Any:
        import tensorflow as tf  # noqa: PLC0415

        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    with pytest.raises(Diverged, match="no trial came to a val_loss"):
        search(told.job(too_large), told.data(), told.SPACE, trials=2, storage=None, say=lambda _: None)


def test_two_searches_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AtWork, match="another search is at work here"):
            search(told.job(), told.data(), told.SPACE, trials=1, storage=tmp_path, say=lambda _: None)


@pytest.mark.usefixtures("without_fits")
@pytest.mark.parametrize("name", ["a b", "50%41", "a?b#c", "ä"])
def test_a_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    search(told.job(), told.data(), told.SPACE, trials=1, storage=tmp_path / name, say=lambda _: None)

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "search.sqlite").stat().st_size


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    (tmp_path / "search.sqlite").write_bytes(b"no database" * 1000)

    with pytest.raises(OSError, match=r"what was tried so far can't be read or added to: '.*search\.sqlite'"):
        search(told.job(), told.data(), told.SPACE, trials=1, storage=tmp_path, say=lambda _: None)


def test_a_treatment_has_nothing_to_search() -> None:
    with pytest.raises(NothingToSearch, match="there is nothing to search in hiv-treatment: a task of the kind Treatment has no plan"):
        search(JOBS["hiv-treatment"], told.data(), told.SPACE, trials=1, storage=None, say=lambda _: None)


def test_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="trials: 1 or more, not 0"):
        search(told.job(), told.data(), told.SPACE, trials=0, storage=None, say=lambda _: None)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Number(low=1, high=1), "high"),
        (lambda: Number(low=0, high=1, log=True), "low"),
        (lambda: Whole(low=0, high=2, log=True), "low"),
        (lambda: Whole(low=2, high=2), "high"),
        (lambda: OneOf(choices=(1,)), "choices"),
        (lambda: OneOf(choices=(1, 1)), "choices"),
        (lambda: OneOf(choices=(print, len)), "choices"),
        (lambda: Space(settings={}), "settings"),
        (lambda: Space(settings={"loss": OneOf(choices=("mse", "mae"))}), "settings: names among epochs"),
        (lambda: Space(settings={"epochs": Number(low=1, high=2)}), "epochs"),
        (lambda: Space(settings={"epochs": Whole(low=0, high=2)}), "epochs"),
        (lambda: Space(settings={"learning_rate": Number(low=-1, high=2)}), "learning_rate"),
        (lambda: Space(settings={"schedule": OneOf(choices=("constant", "none"))}), "schedule"),
    ],
)
def test_a_space_that_no_plan_would_take_is_refused(make: Any, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        make()


@pytest.mark.parametrize("job", [job for job in JOBS.values() if job.name != "hiv-treatment"], ids=lambda job: job.name)
def test_each_job_has_a_space_around_its_own_settings(job: Any) -> None:
    space = around(job.task.plan)

    assert space.has(job.task.plan)
    assert {"learning_rate", "batch_size", "schedule", "weight_decay"} <= set(space.settings)
    assert ("epochs" in space.settings) == (job.task.plan.early_stopping is None)


def test_a_space_around_a_plan_of_one_epoch_and_a_batch_of_one_can_be_made() -> None:
    plan = Plan(epochs=1, batch_size=1, weight_decay=0, schedule=ReduceOnPlateau(), early_stopping=EarlyStopping())

    assert around(plan).has(plan)


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(dest="command", required=True), JOBS)
    return parser.parse_args(["search", *given])


@pytest.mark.usefixtures("without_fits")
def test_the_command_searches_the_space_that_a_job_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    job = told.job()
    declared = replace(job, task=replace(job.task, space=Space(settings={"clip_norm": OneOf(choices=(None, 1.0)), **told.SPACE.settings})))
    monkeypatch.setitem(JOBS, "told", declared)
    said: list[str] = []

    assert run(JOBS["told"], _arguments("told", "--trials", "1"), said.append)

    assert said[1].startswith("trial 1/1: clip_norm None  learning_rate 0.01  batch_size 8: ")


@pytest.mark.usefixtures("without_fits")
def test_the_command_searches_a_job_and_keeps_what_it_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(JOBS, "told", told.job())
    said: list[str] = []

    assert run(JOBS["told"], _arguments("told", "--trials", "2", "--limit", "20", "--storage", str(tmp_path)), said.append)

    assert said[0] == "20 items of made up to train on, 20 to compare by"
    assert [line.split(":")[0] for line in said[1:3]] == ["trial 1/2", "trial 2/2"]
    assert said[3].startswith("best val_loss of 2 trials")
    assert "learning_rate=" in said[4]
    assert (tmp_path / "search.sqlite").exists()


@pytest.fixture
def epochs_done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each fit; its loss falls from epoch to epoch to how far the rate is from 0.1, in decades, and it keeps its limits."""
    done: list[int] = []

    def fast(task: Any, *_: Any) -> Any:
        far, history = abs(np.log10(task.plan.learning_rate) + 1), []
        done.append(0)
        for epoch in range(1, task.plan.epochs + 1):
            history.append({"val_loss": far + 1 / epoch})
            done[-1] = epoch
            if task.plan.limits is not None and not task.plan.limits.are_kept(history):
                raise GivenUp(tuple(history))
        return Fitted(model=None, history=tuple(history), epoch=task.plan.epochs, seconds=0)

    monkeypatch.setattr(Classification, "fit", fast)
    # There are no graphs to go.
    monkeypatch.setattr("gc.collect", lambda: 0)
    monkeypatch.setattr("keras.utils.clear_session", lambda: None)
    return done


def test_trials_that_half_of_the_others_were_better_than_are_given_up_early_and_so_it_is_when_the_search_goes_on(
    epochs_done: list[int], tmp_path: Path
) -> None:
    job, data, said = told.job(epochs=20), told.data(), list[str]()

    whole = search(job, data, told.SPACE, trials=10, storage=None, say=said.append)
    in_parts = [search(job, data, told.SPACE, trials=trials, storage=tmp_path, say=lambda _: None) for trials in (1, 7, 10)]

    assert [each.given_up or 20 for each in whole.tried] == epochs_done[:10] == epochs_done[10:]
    # Five have to be complete first, and of each fit the first two epochs aren't judged.
    assert epochs_done[:5] == [20] * 5
    assert min(epochs_done) == 3
    assert said[epochs_done.index(3)].endswith(": given up after 3 epochs, half of the others were better by then")
    assert f", {sum(epochs < 20 for epochs in epochs_done[:10])} given up early: " in str(whole)
    told_of = [[(each.settings, each.value, each.given_up) for each in found.tried] for found in (whole, in_parts[-1])]
    assert told_of[0] == told_of[1]


LOSSES = st.lists(st.floats(0, 10), min_size=1, max_size=8)


@settings(max_examples=25)
@given(st.lists(LOSSES, max_size=9), LOSSES)
def test_a_trial_is_given_up_where_optunas_median_pruner_would(before: list[list[float]], own: list[float]) -> None:
    epochs = 20
    kept = optuna.create_study(pruner=MedianPruner(n_startup_trials=FEWEST, n_warmup_steps=unjudged(epochs) + 1, n_min_trials=FEWEST))
    for values in before:
        kept.add_trial(optuna.trial.create_trial(value=values[-1], intermediate_values=dict(enumerate(values, start=1))))
    trial = kept.ask()

    found = limits(before, figure="val_loss", epochs=epochs)

    for epoch, value in enumerate(own, start=1):
        trial.report(value, epoch)
        assert trial.should_prune() == (found is not None and not found.are_kept([{"val_loss": each} for each in own[:epoch]]))


def test_the_command_says_why_a_treatment_is_not_searched() -> None:
    said: list[str] = []

    assert not run(JOBS["hiv-treatment"], _arguments("hiv-treatment"), said.append)
    assert said == ["there is nothing to search in hiv-treatment: a task of the kind Treatment has no plan, for it isn't fitted by epochs"]


@pytest.mark.parametrize("given", [("digits", "--trials", "0"), ("digits", "--limit", "1"), ("none",)])
def test_the_command_refuses_what_makes_no_search(given: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _arguments(*given)
    assert "search" in capsys.readouterr().err


def test_adding_the_command_loads_neither_optuna_nor_tensorflow() -> None:
    slow = ["optuna", "sqlalchemy", "tensorflow", "keras"]
    code = f"import json, sys, training.search; print(json.dumps([name for name in {slow} if name in sys.modules]))"

    assert json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=250).stdout) == []
