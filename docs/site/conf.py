"""Sphinx settings of the course page (`make site`).

The pages are the repository's own files where they lie, so their links work here as they do there. `pages.py` puts each
executed lesson in the place of the student's notebook.
"""

import sys
from pathlib import Path

import medcourse as mc
from medcourse.teaching.launch import BINDER, BRANCH, COLAB, address_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the extension `pages`
address = address_of(HERE.parents[1] / "course")

project = "medcourse"
author = "The medcourse authors"
project_copyright = "The medcourse authors. Course text: CC BY 4.0. Code: Apache-2.0"
version = release = mc.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "pages"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "course/*.md",
    "course/instructors/*.md",
    "course/notebooks/*.ipynb",
    "docs/*.md",
    "docs/site/api.md",
]
exclude_patterns = [".*", "build", "dist", "medcourse-work", "benchmarks", "tests", "course/solutions"]

nb_execution_mode = "off"  # `make build` executes the lessons
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give types, shapes and ranges; an array's type would fill three lines
add_module_names = False
default_role = "code"
highlight_language = "none"  # of blocks that name no language: commands, not Python
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

html_theme = "sphinx_book_theme"
html_title = "medcourse"
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_use_index = html_domain_indices = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
}
if address:
    html_theme_options |= {
        "repository_url": address.repository,
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "launch_buttons": {"binderhub_url": BINDER, "colab_url": COLAB, "notebook_interface": "jupyterlab"},
    }
