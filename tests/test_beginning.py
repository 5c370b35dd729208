"""`medcourse new-lesson` begins a lesson that the builder accepts."""

import pytest

from medcourse.errors import LessonError
from medcourse.teaching import build as teaching
from medcourse.teaching.beginning import new_lesson
from medcourse.teaching.guide import instructor_guide
from medcourse.teaching.shape import shape_problems
from medcourse.teaching.source import read_lesson


def test_a_new_lesson_has_the_shape_its_name_and_the_next_number(tmp_path):
    first, second = new_lesson(tmp_path, "05_wrong_flip"), new_lesson(tmp_path, "wrong_mask")
    assert [path.name for path in (first, second)] == ["05_wrong_flip.py", "06_wrong_mask.py"]
    assert (read_lesson(second).meta.number, read_lesson(second).meta.title) == (6, "Wrong mask")
    assert shape_problems(read_lesson(first)) == []


@pytest.mark.parametrize("name", ["Wrong Flip", "5", "05-flip", "../flip", "", "5x_flip"])
def test_another_kind_of_name_is_refused(tmp_path, name):
    with pytest.raises(LessonError, match="is no name for a lesson"):
        new_lesson(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_taken_is_refused_and_the_lesson_stays(tmp_path):
    first = new_lesson(tmp_path, "05_one")
    with pytest.raises(LessonError, match=r"a lesson of number 5: 05_one\.py"):
        new_lesson(tmp_path, "05_two")
    assert list((tmp_path / "source").iterdir()) == [first]


def test_the_instructors_page_has_minutes_points_answers_key_and_questions(tmp_path):
    source = new_lesson(tmp_path, "wrong_flip")
    text = source.read_text().replace("accuracy = ill.mean()\n", "accuracy = ill.mean()  # the ill\n", 1)
    source.write_text(text.replace("one line each.", "one line each.\n#\n# **To discuss.** Why?"))
    page = instructor_guide(read_lesson(source))
    for part in (
        "about 20 minutes, and 15 for the core path",
        "| Exercise 1 (do): how right is a model that calls every film healthy? | `accuracy` | 1 | visible |",
        "4 points. ",
        "A right answer:\n\n```python\naccuracy = 1 - ill.mean()\n```",
        "Expect this wrong answer (the ill):\n\n```python\naccuracy = ill.mean()  # the ill\n```",
        "- For which films is the model right?",
        "- **(b) ",
        "It finds nobody.",
        "## To discuss in class\n\nWhy?",
    ):
        assert part in page


@pytest.mark.slow
def test_a_new_lesson_passes_the_builder(tmp_path):
    new_lesson(tmp_path, "wrong_flip")
    teaching.build(tmp_path)
    assert teaching.check(tmp_path) == []
    assert [done.problems for done in teaching.check_executed(tmp_path)] == [[]]
