"""The shape of a lesson: each rule finds what breaks it, and says where."""

import pytest

from medcourse.errors import LessonError
from medcourse.teaching import build, names
from medcourse.teaching.shape import anchors, shape_problems
from medcourse.teaching.source import read_lesson
from tests.courses import GOOD, write_course


def problems_of(folder, *changes: tuple[str, str]) -> list[str]:
    """The problems of the good lesson with its text changed."""
    source = write_course(folder / "course") / "source" / GOOD.name
    text = source.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    source.write_text(text)
    return shape_problems(read_lesson(source))


def test_the_good_lesson_has_the_shape(tmp_path):
    assert problems_of(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# More prose.", "# " + "more prose " * 1000, "words of prose; a lesson has 2000"),
        ("random.random()\n\n# %% [markdown]\n# ### Exercise 3", "x = 1\n" * 250 + "\n# %% [markdown]\n# ### Exercise 3", "lines of code; a lesson has 250"),
        ("minutes: 7", "minutes: 9", "sections add up to 7 minutes; the header says 9"),
        ("minutes=2", "minutes=18 core=true", "core path (core=true) takes 21 minutes; it should take 3 to 20"),
        ("minutes=3 core=true", "minutes=3", "core path (core=true) takes 0 minutes"),
        (" minutes=2\n", "\n", "section '2 A figure' has no minutes"),
        ("#     needs:\n#       - \"Python: functions\"\n", "", "the header's needs"),
        ("# A reader looked", "# # 01 Title\n# A reader looked", "the builder writes the title"),
        ("# ![Twenty", "# ![](x.png) ![Twenty", "has one concept picture"),
        ("![Twenty circles, nine of them filled]", "![]", "has one concept picture"),
        ("# ## 2 A figure", "# Before.\n#\n# ## 2 A figure", "a section (##) begins a cell of its own"),
        ("# > **Key idea.**", "# **Key idea.**", "0 cells begin with '> **Key idea.**'"),
        ("# ## On Monday", "# ## On Tuesday", "0 cells begin with '## On Monday'"),
        ("diseased, found, images = 20, 9, 200", "diseased, found, images = 20, 9, 200" + " " * 70 + "# far", "1 lines of code longer than 100 characters (up to 111)"),
        ("### Exercise 1 (do): which", "### Exercise (do): which", "needs a heading: ### Exercise 1 (do) or (explain) or (transfer): ..."),
        ("### Exercise 1 (do)", "### Exercise 4 (do)", "its heading says exercise 4; it is exercise 1"),
        ("### Exercise 1 (do)", "### Exercise 1 (transfer)", "exercises climb: explain comes after transfer"),
        ("### Exercise 3 (transfer)", "### Exercise 3 (explain)", "the last exercise is a (transfer)"),
        ("# - Who could have been found?\n", "", "1 hints; an exercise has 2"),
        ('="quiz"', '="last"', "a lesson has a quiz"),
        ("../glossary.md#sensitivity", "../glossary.md#recall", "glossary.md has no heading #recall"),
        ("../pictures/01_concept.png", "../pictures/02_concept.png", "../pictures/02_concept.png leads nowhere"),
        ("# More prose.", "# [Next](02_next.ipynb).", "the link 02_next.ipynb leads nowhere"),
        ("mc.checks.needs(sensitivity=sensitivity)\n", "", "begin it with mc.checks.needs(sensitivity=sensitivity)"),
        ("total = images\n", "total = images * sensitivity\n", "begin it with mc.checks.needs(sensitivity=sensitivity)"),
        ("wanted = 5 / 50\n### END WRONG ANSWER\n", "wanted = 5 / 50\n### END WRONG ANSWER\nprint(wanted)\n", "uses its own answer below the solution"),
        ('print("step 2")', 'print(patients)', "reads 'patients', which only a check cell binds (cell 7)"),
        ('"half", half', '"halves", half', "mc.checks.number('halves', ...) names no answer of the exercise (half, share, total)"),
        ("all images that a reader has read", "all", "the right option is the longest in 2 of 2 questions"),
        ('quiz_1 = "b"', 'quiz_1 = "c"', "quiz_1: the options are a, b, the reasons a, b, the solution 'c'"),
        ("# - (b) how many of the ill are found", "# - (c) how many of the ill are found", "quiz_2: the options are a, c, the reasons a, b"),
        ("**2.** What", "2. What", "2 quizzes, but 1 questions"),
        ('"quiz_1", quiz_1, {', '"quiz_1", quiz_1, reasons={', "a quiz is written mc.checks.quiz("),
    ],
)  # fmt: skip
def test_what_is_out_of_shape_is_found(tmp_path, old, new, message):
    found = problems_of(tmp_path, (old, new))
    assert any(message in problem for problem in found), found
    assert all("01_good_lesson.py" in problem for problem in found)


def test_a_lesson_out_of_shape_is_not_built(tmp_path):
    course = write_course(tmp_path / "course")
    source = course / "source" / GOOD.name
    source.write_text(source.read_text().replace("minutes: 7", "minutes: 9"))
    with pytest.raises(LessonError, match="add up to 7 minutes"):
        build.build(course)
    assert any("add up to 7 minutes" in problem for problem in build.check(course))


def test_the_addresses_within_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text('# Class weight\n\n### <a id="roc"></a>ROC curve (of a score)\n')
    assert anchors(page) == {"class-weight", "roc", "roc-curve-of-a-score"}


@pytest.mark.parametrize(
    ("code", "read", "bound"),
    [
        ("x = x + y", {"x", "y"}, {"x"}),
        ("x += 1", {"x"}, {"x"}),
        ("x = 1\nprint(x)", {"print"}, {"x"}),
        ("for a, b in pairs:\n    c = a", {"pairs"}, {"a", "b", "c"}),
        ("with open(p) as f:\n    t = f", {"open", "p"}, {"f", "t"}),
        ("import a.b\nfrom c import d as e", set(), {"a", "e"}),
        ("def f(x, *, y=z):\n    w = x\n    return w + v", {"z", "v"}, {"f"}),
        ("[i for row in t for i in row if i > k]", {"t", "k"}, set()),
        ("{k: v for k, v in t.items()}", {"t"}, set()),
        ("g = lambda a: a + b", {"b"}, {"g"}),
        ("if (n := m) > 1:\n    n", {"m"}, {"n"}),
        ("try:\n    a\nexcept E as e:\n    print(e)", {"a", "E", "print"}, set()),
        ("class C(B):\n    x = y", {"B", "y"}, {"C"}),
        ("t['a'] = u", {"t", "u"}, set()),
    ],
)  # fmt: skip
def test_names_that_code_reads_and_binds(code, read, bound):
    assert (names.reads(code), names.binds(code)) == (read, bound)
