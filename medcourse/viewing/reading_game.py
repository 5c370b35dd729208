"""Read films yourself, keep your score, and meet it again beside a model's."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from medcourse.arguments import number
from medcourse.data.cohort import Cohort
from medcourse.errors import ArgumentError, EvaluationError
from medcourse.evaluation.predictions import Predictions
from medcourse.viewing.explorer import Explorer
from medcourse.viewing.plot import ORANGE
from medcourse.viewing.sheet import draw_sheet

_MOST, _COLUMNS = 20, 5


def reading_game(
    films: Cohort, keep: str | Path | None = None, model: Predictions | None = None, threshold: float = 0.5
) -> "ReadingGame":
    """Ten films, one after the other, and a button for each class; after the last one the labels and your score.

    Keep the score in a file, and a later lesson shows it again, beside what a model says of the same films::

        game = mc.widgets.reading_game(ten, keep="my_reading.json")
        mc.widgets.reading_game(ten, keep="my_reading.json", model=trainer.predict(ten))

    Args:
        films: the images, at most 20; of one label each.
        keep: a JSON file for your reading, written at each click and read again when the game is opened; None: it is
            forgotten with the kernel.
        model: predictions of at least these images, shown when you have read all.
        threshold: of the model.

    Returns:
        The game. An exported page shows all films, unread.

    Raises:
        ArgumentError: too many films, a threshold that is not a number, or a file that holds something else.
        EvaluationError: findings that occur together, or a model that knows other classes or not all films.
    """
    if len(films) > _MOST:
        raise ArgumentError(f"{len(films)} films are too many for one game; give at most {_MOST}: films.sample(10)")
    if films.task == "multilabel":
        raise EvaluationError(f"{films.name} has several findings in a film; make one of them a class: films.relabel")
    path = None if keep is None else Path(keep)
    return ReadingGame(films, path, None if model is None else _calls(films, model, number("threshold", threshold)))


class ReadingGame(Explorer):
    """The game that ``reading_game`` makes."""

    def __init__(self, films: Cohort, keep: Path | None, model: dict[Any, str] | None) -> None:
        self._films, self._keep, self._beside = films, keep, model
        self._kept = {} if keep is None or not keep.exists() else _kept_in(keep)
        kept = {film: self._kept.get(str(film)) for film in films.table.index}
        self._said: dict[Any, str] = {film: call for film, call in kept.items() if call in films.classes}
        self._note = ""
        self._choices = [ipywidgets.Button(description=name) for name in films.classes]
        for button in self._choices:
            button.on_click(partial(self._read, button.description))
        back = ipywidgets.Button(description="one film back")
        back.on_click(self._back)
        super().__init__("reading_game", [], self._sheet, [*self._choices, back])
        self._allow()

    @property
    def reading(self) -> pd.Series:
        """Your calls so far: class names by ``image_id``."""
        return pd.Series(self._said, name="reading", dtype=object)

    def predictions(self) -> Predictions:
        """Your calls as predictions with scores 0 and 1, for ``mc.evaluate`` and ``mc.compare``.

        Raises:
            EvaluationError: a film is not read yet.
        """
        if self._next() is not None:
            raise EvaluationError(f"you have read {len(self._said)} of {len(self._films)} films; read the others first")
        calls = self.reading[self._films.table.index]
        scores = {f"p_{name}": (calls == name).astype(float) for name in self._films.classes}
        return Predictions(self._films.table.assign(**scores), self._films.classes)

    def _next(self) -> Any:
        """The first film that is not read, or None."""
        return next((film for film in self._films.table.index if film not in self._said), None)

    def _read(self, call: str, _button: object) -> None:
        if (film := self._next()) is not None:
            self._said[film] = call
            self._save()

    def _back(self, _button: object) -> None:
        if self._said:
            del self._said[[film for film in self._films.table.index if film in self._said][-1]]
            self._save()

    def _save(self) -> None:
        if self._keep is not None:
            here = {str(film) for film in self._films.table.index}
            others = {film: call for film, call in self._kept.items() if film not in here}
            mine = {str(film): call for film, call in self._said.items()}
            try:
                self._keep.write_text(json.dumps(others | mine, indent=1), encoding="utf-8")
                self._note = ""
            except OSError as error:  # an error of a click would be seen nowhere
                self._note = f"\nNot kept in {self._keep}: {error.strerror or error}"
        self._allow()
        self.redraw()

    def _allow(self) -> None:
        for button in self._choices:
            button.disabled = self._next() is None

    def _sheet(self) -> Figure:
        film = self._next()
        return self._one_film(film) if film is not None else self._score()

    def _one_film(self, film: Any) -> Figure:
        """The film to be read, large, and all films small."""
        ids = self._films.table.index
        row = ids.tolist().index(film)
        figure = plt.figure(figsize=(10, 4.4))
        large, small = figure.add_axes((0.005, 0.02, 0.35, 0.86)), figure.add_axes((0.37, 0.01, 0.625, 0.88))
        large.imshow(self._films.images[row].transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
        large.set_axis_off()
        words = [f"{k}: {'?' if name == film else self._said.get(name, '')}" for k, name in enumerate(ids, 1)]
        colours = [ORANGE if name == film else "black" for name in ids]
        draw_sheet(small, np.asarray(self._films.images), _COLUMNS, words, colours)
        figure.suptitle(f"Film {row + 1} of {len(ids)}: {' or '.join(self._films.classes)}?{self._note}", fontsize=10)
        return figure

    def _score(self) -> Figure:
        """All films with their labels, your calls and the model's."""
        labels: dict[Any, str] = self._films.table["label"].to_dict()
        readers = {"you": self._said} | ({} if self._beside is None else {"model": self._beside})
        figure = plt.figure(figsize=(10, 4.4))
        words = [
            "\n".join([f"{k}: label {label}", *(f"{name}: {calls[film]}" for name, calls in readers.items())])
            for k, (film, label) in enumerate(labels.items(), 1)
        ]
        colours = ["black" if self._said[film] == label else ORANGE for film, label in labels.items()]
        sheet = figure.add_axes((0.005, 0.01, 0.99, 0.88))
        draw_sheet(sheet, np.asarray(self._films.images), _COLUMNS, words, colours)
        right = {name: sum(calls[film] == label for film, label in labels.items()) for name, calls in readers.items()}
        score = ", ".join(f"{name}: {n} of {len(labels)}" for name, n in right.items())
        figure.suptitle(f"Right, {score}. Orange: you and the label differ.{self._note}", fontsize=10)
        return figure


def _calls(films: Cohort, model: Predictions, threshold: float) -> dict[Any, str]:
    """What the model calls each film, as class names."""
    if model.classes != films.classes:
        raise EvaluationError(f"the model knows the classes {model.classes}, the films have {films.classes}")
    if missing := [name for name in films.table.index if name not in model.table.index]:
        raise EvaluationError(
            f"the model has not seen {len(missing)} of the films, for example {missing[0]}; predict them"
        )
    called = (model.classes[k] for k in model.called(threshold))
    return dict(zip(model.table.index, called, strict=True))


def _kept_in(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"keep={str(path)!r} cannot be read as a kept reading ({error}); give another name"
        ) from error
    if not isinstance(kept, dict):
        raise ArgumentError(f"keep={str(path)!r} holds something else than a reading; give another name")
    return kept
