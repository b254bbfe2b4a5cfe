"""A picture whose lookup tables are incomplete is shown all the same: what nobody can see, nobody can check."""

import numpy as np
from pydicom.dataset import Dataset

from anonymizer.pixels.preview import shown


def _with_table(**table):
    dataset, item = Dataset(), Dataset()
    for keyword, value in table.items():
        setattr(item, keyword, value)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.ModalityLUTSequence = [item]
    return dataset


def test_a_table_with_nothing_but_a_word_does_not_hide_the_picture():
    stored = np.array([[0, 100], [200, 400]], np.uint16)
    told = shown(stored, _with_table(LUTExplanation="log curve"))
    assert np.allclose(told, [[0, 64], [128, 255]], atol=1)


def test_a_whole_table_is_used():
    stored = np.array([[0, 1], [2, 3]], np.uint16)
    dataset = _with_table(LUTDescriptor=[4, 0, 16], LUTData=[400, 300, 200, 0], ModalityLUTType="US")
    assert np.allclose(shown(stored, dataset), [[255, 191], [128, 0]], atol=1)
