"""A sample in memory, and the set that it is of: what is fitted, counted and told from others is the set."""

from dataclasses import replace

import numpy as np
import pytest

from training.dataset import Dataset, Part, Sample
from training.export import digest_of_data
from training.fitting.source import Stream
from training.quality.split import Leak


def stream(name: str = "numbers", items: int | None = 90) -> Stream:
    def read(**_: object) -> None:
        raise AssertionError

    return Stream(name=name, read=read, items=items)


def part(items: int) -> Part:
    return Part(inputs=np.arange(items), targets=np.arange(items))


def data(training: Part) -> Dataset:
    return Dataset(name="numbers", source="here", license="none", training=training, validation=part(3), held_out=part(3))


def sample(of: Stream) -> Sample:
    return Sample(inputs=np.arange(5), targets=np.arange(5), stream=of)


def test_the_items_to_learn_are_those_of_the_stream_where_there_is_one() -> None:
    whole = stream()

    assert data(sample(whole)).items_to_learn == 90
    assert sample(whole).source() is whole
    assert data(part(5)).items_to_learn == 5
    assert part(5).source().identity() == part(5).source().identity() != part(6).source().identity()


def test_a_limit_leaves_the_stream_and_no_limit_keeps_it() -> None:
    whole = data(sample(stream()))

    assert whole.limited(None) is whole
    assert whole.limited(4).items_to_learn == 4
    assert whole.limited(10).items_to_learn == 5
    assert not isinstance(whole.limited(10).training, Sample)


def test_a_stream_of_which_nobody_knows_how_long_it_is_is_refused() -> None:
    with pytest.raises(ValueError, match="stream: one that knows how many items it has"):
        sample(stream(items=None))


def test_the_datas_digest_tells_another_stream_from_the_same_sample() -> None:
    digests = {digest_of_data(data(training)) for training in (sample(stream()), sample(stream("others")), part(5))}

    assert len(digests) == 3
    assert digest_of_data(data(sample(stream()))) == digest_of_data(replace(data(sample(stream()))))


def test_a_patient_in_two_parts_is_refused_and_not_named() -> None:
    def of(*patients: str) -> Part:
        return Part(inputs=np.zeros((len(patients), 1)), targets=np.zeros(len(patients)), patients=np.array(patients))

    def made(training: Part, validation: Part, held_out: Part) -> Dataset:
        return Dataset(name="n", source="s", license="l", training=training, validation=validation, held_out=held_out)

    with pytest.raises(Leak, match=r"^1 patient has items to train on and items held out$"):
        made(of("a", "b", "b"), of("c"), of("b", "d"))
    with pytest.raises(Leak, match=r"^2 patients have items to validate and items held out$"):
        made(of("a"), of("c", "d"), of("d", "c"))
    assert len(made(of("a", "a"), of("c"), replace(of("a"), patients=None)).training) == 2
