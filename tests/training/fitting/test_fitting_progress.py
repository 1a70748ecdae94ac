import io
import re

from rich.console import Console

from training.fitting.progress import is_told, line, watcher


def test_a_line_has_the_epochs_figures_with_those_on_validation_items_last_and_the_seconds() -> None:
    figures = {"loss": 0.51234, "accuracy": 0.8, "mean_absolute_error": 2.0, "val_loss": 0.25, "val_accuracy": 0.9, "val_mean_absolute_error": 3.0}

    assert line(8, 10, figures, 12.4) == (
        "epoch  9/10  loss 0.5123  accuracy 0.8000  mean absolute error 2.0000"
        "  validation loss 0.2500  accuracy 0.9000  mean absolute error 3.0000  12 s"
    )
    assert line(0, 1, {"loss": 1.0}, 0.0) == "epoch 1/1  loss 1.0000  0 s"


def test_a_log_is_told_of_every_epoch_of_few_of_some_of_many_and_of_each_that_takes_long() -> None:
    assert all(is_told(epoch, 39, seconds=0) for epoch in range(39))
    assert [epoch for epoch in range(200) if is_told(epoch, 200, seconds=0)] == [0, *range(9, 200, 10)]
    assert is_told(4, 200, seconds=30)


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_on_a_terminal_a_bar_shows_epoch_step_loss_and_the_time_that_is_left() -> None:
    console = terminal()

    with watcher(epochs=3, steps=4, done=5, console=console) as watching:
        watching.stepped(1, 2, {"loss": 0.5})
        watching.stepped(2, 4, {"loss": 0.25})
        said = "epoch said"
        console.print(said)

    text = shown(console)
    assert re.search(r"epoch 2/3 .* step 1/4  loss …", text), "it begins where a checkpoint left"
    # The loss is fetched four times a second at most: the second is shown with the first's.
    assert re.search(r"epoch 3/3 .* step 4/4  loss 0\.5000 \d:\d\d:\d\d left", text)
    assert said in text


def test_where_nobody_knows_how_many_steps_there_are_the_bar_moves_by_epochs() -> None:
    console = terminal()

    with watcher(epochs=3, steps=None, done=0, console=console) as watching:
        watching.stepped(2, 7, {"loss": 0.5})

    assert re.search(r"epoch 3/3 .* step 7  loss 0\.5000 ", shown(console))


def test_elsewhere_nothing_is_shown() -> None:
    console = Console(file=io.StringIO())

    with watcher(epochs=3, steps=4, done=0, console=console) as watching:
        watching.stepped(0, 1, {})

    assert shown(console) == ""
