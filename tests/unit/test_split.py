"""Held-out subjects never mix with those that are trained on."""

import numpy as np
import pytest

from neuraltex.core.errors import DataError
from neuraltex.learn.data.split import group_variants, read_names, split_groups

NAMES = [f"subject_{index}" for index in range(40)]


def singles(names=NAMES):
    return [(name,) for name in names]


def test_variants_are_linked_through_others():
    base = np.full((50, 3), 0.4)
    small = {"a": base, "b": base + 0.02, "c": base + 0.04, "d": base + 0.3}
    assert sorted(group_variants(small, 0.03)) == [("a", "b", "c"), ("d",)]
    assert len(group_variants(small, 0.01)) == 4


def test_every_subject_is_in_one_split_of_the_wanted_share():
    split = split_groups(singles(), 0.2, 0.1)
    assert sorted(split) == sorted(NAMES)
    counts = [list(split.values()).count(name) for name in ("train", "val", "test")]
    assert counts == [28, 4, 8]


def test_the_split_does_not_depend_on_the_order_and_groups_stay_whole():
    groups = [*singles(NAMES[:30]), tuple(NAMES[30:34]), tuple(NAMES[34:])]
    split = split_groups(groups, 0.3)
    assert split == split_groups(groups[::-1], 0.3)
    for group in groups:
        assert len({split[name] for name in group}) == 1


def test_a_group_larger_than_the_share_is_passed_over_unless_nothing_else_is_left():
    split = split_groups([tuple(NAMES[:8]), *singles(NAMES[8:10])], 0.2)
    assert {name for name, own in split.items() if own == "test"} == set(NAMES[8:10])
    split = split_groups([tuple(NAMES[:5]), tuple(NAMES[5:8])], 0.2)
    assert {name for name, own in split.items() if own == "test"} == set(NAMES[5:8])


def test_listed_subjects_take_their_variants_along(tmp_path):
    file = tmp_path / "test.txt"
    file.write_text("# to score on\nsubject_1\n\nsubject_7  # a comment\n")
    split = split_groups([("subject_1", "subject_2"), *singles(NAMES[3:])], 0.5, test=read_names(file))
    assert {name for name, own in split.items() if own == "test"} == {"subject_1", "subject_2", "subject_7"}


def test_bad_lists_and_too_few_subjects_are_refused(tmp_path):
    with pytest.raises(DataError, match="no subject 'nobody'"):
        split_groups(singles(), 0.2, test=["nobody"])
    with pytest.raises(DataError, match="too few to split"):
        split_groups([tuple(NAMES)], 0.2)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match="holds no names"):
        read_names(tmp_path / "empty.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_names(tmp_path / "missing.txt")
