"""Where a lesson opens without an installation: what follows from the repository's address, and Colab's first cell."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from medcourse.errors import LessonError
from medcourse.teaching import colab, launch
from medcourse.teaching.notebooks import dumps, solution_notebook, student_notebook
from medcourse.teaching.source import Lesson, read_lesson
from tests.courses import write_course
from tests.scratch import copy_of_the_repository, environment_without_medcourse

PUBLIC = "https://github.com/An-Owner/a.course"


def course_at(folder: Path, address: str | None) -> Lesson:
    """The good lesson in a repository with that public address."""
    course = write_course(folder / "course")
    urls = f'[project.urls]\nRepository = "{address}"\n' if address else ""
    (folder / "pyproject.toml").write_text(f'[project]\nname = "a-course"\n{urls}')
    return read_lesson(course / "source" / "01_good_lesson.py")


def test_without_an_address_nothing_leads_anywhere(tmp_path):
    lesson = course_at(tmp_path, None)
    notebook = student_notebook(lesson)
    assert len(notebook.cells) == len(lesson.cells)
    assert not any(word in dumps(notebook) for word in ("github", "mybinder", "colab"))
    assert launch.badges(launch.address_of(tmp_path / "course")) == ""


@pytest.mark.parametrize("stated", [PUBLIC, f"{PUBLIC}/", f"{PUBLIC}.git"])
def test_all_links_follow_from_the_address(tmp_path, stated):
    lesson = course_at(tmp_path, stated)
    opening = student_notebook(lesson).cells[0].source
    path = "course/notebooks/01_good_lesson"
    assert f"(https://mybinder.org/v2/gh/An-Owner/a.course/main?urlpath=lab/tree/{path}.ipynb)" in opening
    assert f"(https://colab.research.google.com/github/An-Owner/a.course/blob/main/{path}.ipynb)" in opening
    assert f"(https://an-owner.github.io/a.course/{path}.html)" in opening
    assert opening.startswith("# 01 A good lesson\n\n[Open in Binder]")
    badges = launch.badges(launch.address_of(tmp_path / "course"))
    assert "(https://mybinder.org/v2/gh/An-Owner/a.course/main?urlpath=lab/tree/course/README.md)" in badges
    assert "(https://an-owner.github.io/a.course/)" in badges


def test_what_an_instructor_hands_out_does_not_lead_to_the_public_repository(tmp_path):
    lesson = course_at(tmp_path, PUBLIC)
    for notebook in (student_notebook(lesson, solution_links=False), solution_notebook(lesson)):
        assert "An-Owner" not in dumps(notebook)
        assert len(notebook.cells) == len(lesson.cells)


@pytest.mark.parametrize(
    "stated", ["https://example.org/course", "github.com/owner/course", "https://github.com/owner"]
)
def test_another_address_is_refused_with_what_to_write(tmp_path, stated):
    with pytest.raises(LessonError, match=r"write https://github\.com/OWNER/NAME, or leave it out"):
        student_notebook(course_at(tmp_path, stated))


def test_the_first_cell_does_nothing_outside_colab(tmp_path):
    lesson = course_at(tmp_path, PUBLIC)
    cell = student_notebook(lesson).cells[1]
    assert cell.id == "01-colab"
    assert max(map(len, cell.source.splitlines())) <= 100
    names: dict[str, object] = {}
    exec(cell.source, names)
    assert set(names) == {"__builtins__", "sys"}


def test_colab_gets_what_it_lacks_and_keeps_its_own_server_kernel_and_widgets(monkeypatch):
    assert colab.lacking() == []
    required = [
        "torch>=2.6",
        "numpy>=2.0",
        "ipykernel>=6.29.5",
        "ipywidgets>=8.1.5",
        "torchcam<0.6,>=0.5",
        'sphinx>=9; extra == "site"',
    ]
    here = {"torch": "2.5.1", "numpy": "2.0.2", "ipykernel": "6.17.1"}

    def version(name: str) -> str:
        if name not in here:
            raise metadata.PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(metadata, "requires", lambda _: required)
    monkeypatch.setattr(metadata, "version", version)
    assert colab.lacking() == ["torch>=2.6", "torchcam<0.6,>=0.5"]


def test_the_package_works_without_what_colab_lacks_and_does_not_get():
    code = "import sys; sys.modules['jupyterlab'] = sys.modules['jupytext'] = None; import medcourse as mc; mc.checks.that(True, '')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_on_colab_the_first_cell_installs_the_course_and_fetches_its_data(tmp_path):
    """As a script, in an environment without medcourse; a repository on this disk stands for the public one."""
    repository = copy_of_the_repository(tmp_path / "repository")
    git = ["git", "-C", repository, "-c", "user.name=T", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *arguments], check=True)

    lesson = course_at(tmp_path / "lesson", PUBLIC)
    data = ["chexpert-readers"] if os.environ.get("MEDCOURSE_MIRROR") else []
    lesson = Lesson(lesson.path, lesson.meta.model_copy(update={"datasets": data}), lesson.cells)
    cell = student_notebook(lesson).cells[1].source
    script = tmp_path / "first_cell.py"
    on_colab = "import sys, types\n\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"
    script.write_text(on_colab + cell.replace(PUBLIC, repository.as_uri()))
    own = environment_without_medcourse(tmp_path / "environment") | {"MEDCOURSE_CACHE": str(tmp_path / "cache")}
    python = tmp_path / "environment" / "bin" / "python"

    before = subprocess.run([python, "-c", "import medcourse"], env=own, cwd=tmp_path, capture_output=True, text=True)
    assert "ModuleNotFoundError" in before.stderr
    done = subprocess.run([python, script], env=own, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"{name}: " in done.stdout for name in data)
    after = subprocess.run(
        [python, "-c", "import medcourse; print(medcourse.__file__)"],
        env=own,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert str(tmp_path / "environment") in after.stdout
