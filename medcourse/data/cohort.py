"""A cohort: images, one table row for each, and who the group (patient or lesion) of each image is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medcourse.data.draws import sampled
from medcourse.data.labels import Task, check_rows, class_table, positive_last, shown_in, targets_of, task_of
from medcourse.data.rows import ImageRows, ImageStack, check_stacks, positions_of, view
from medcourse.errors import CohortError
from medcourse.markup import as_html, count, percent

if TYPE_CHECKING:
    from medcourse.data.decode import Mode, OnError
    from medcourse.data.folders import Group


class Cohort:
    """Images with their table.

    Args:
        images: uint8, N x C x H x W, C = 1 (grey) or 3 (RGB); may be memory-mapped.
        table: one row per image in the same order, index = image id (unique), with the columns ``group`` (who or what
            the image shows: the patient, else the lesion) and ``label`` (a class name), or for a multilabel cohort
            one column ``y_<class>`` per class (1 present, 0 absent, NaN not assessed). Other columns are kept.
        classes: class names. With two that exclude each other, ``classes[1]`` is the positive one (the disease).
        task: "binary", "multiclass" or "multilabel" (findings that may occur together). When None: multilabel if the
            table has ``y_<class>`` for every class and no ``label``, else binary for two classes, multiclass for more.
        masks: uint8, N x H x W, 1 inside and 0 outside, or None.
        name: for messages.
        laterality: left and right mean something in these images (a mirrored chest film shows the heart on the wrong side).
        is_phantom: drawn, not real.

    Attributes:
        table: as given; so are ``classes``, ``name``, ``laterality`` and ``is_phantom``.
        task: "binary", "multiclass" or "multilabel".
        positive: ``classes[1]`` of a binary cohort.

    Raises:
        ArgumentError: a task that does not exist.
        CohortError: shapes, types, ids, labels or groups do not fit together.
    """

    def __init__(
        self,
        images: ImageStack,
        table: pd.DataFrame,
        classes: Sequence[str],
        *,
        task: Task | None = None,
        masks: ImageStack | None = None,
        name: str = "cohort",
        laterality: bool = False,
        is_phantom: bool = False,
    ) -> None:
        check_stacks(images, masks, len(table))
        self.name = name
        self.classes = tuple(classes)
        self.laterality = laterality
        self.is_phantom = is_phantom
        self._base = images
        self._masks = masks
        self._rows = np.arange(len(table), dtype=np.int64)
        self.table = table.copy()
        self.table.index.name = "image_id"
        self.task: Task = task_of(self.table, classes, task, CohortError)
        check_rows(self.table, self.classes, self.task, CohortError)
        self._targets = targets_of(self.table, self.classes, self.task)

    # ------------------------------------------------------------------ your own images

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        *,
        group: "Group",
        positive: str | None = None,
        size: int = 64,
        mode: "Mode" = "auto",
        on_error: "OnError" = "raise",
        laterality: bool = False,
        progress: bool = True,
    ) -> "Cohort":
        """A cohort of your own images: one folder per class, whatever lies below it.

        Files are recognised by their ending (PNG, JPEG, TIFF, BMP, GIF, WebP, DICOM); others are left out. The table
        gets the columns label (the class folder), group, path, original_width, original_height (pixels); the image id
        is the path.

        Args:
            path: the folder that holds the class folders.
            group: who the image shows. A regular expression, searched in the file name (in the path below ``path`` if
                it contains a "/"): its one bracket, or all that it matches. Or a function of that path. Or None: every
                image is a patient of its own.
            positive: the positive class; must be stated for two classes.
            size: height and width in pixels; images are resized to squares.
            mode: "L" (grey), "RGB", or "auto": grey when the channels of every image are equal.
            on_error: "raise" for images that cannot be read, or "skip" them and say so.
            laterality: left and right mean something in these images.
            progress: show a bar when decoding takes longer than two seconds.

        Raises:
            ArgumentError: a size, mode or on_error that does not exist.
            CohortError: no folder, an empty class, one class only, unreadable images, images without a group, or a
                positive class that is none.
            StorageError: this machine's disk is full, or may not be written.
        """
        from medcourse.data.folders import folder_parts

        images, table, classes = folder_parts(path, group, positive, size, mode, on_error, progress)
        return cls(images, table, classes, name=Path(path).resolve().name, laterality=laterality)

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        root: str | Path,
        *,
        image: str = "path",
        label: str | Sequence[str] = "label",
        group: str | None,
        positive: str | None = None,
        size: int = 64,
        mode: "Mode" = "auto",
        on_error: "OnError" = "raise",
        laterality: bool = False,
        progress: bool = True,
    ) -> "Cohort":
        """A cohort of your own images, named by a table.

        Args:
            table: one row per image; all its columns are kept, only ``label`` and ``group`` are set anew. The column or
                index ``image_id`` gives the ids, else the paths do.
            root: the folder that the paths start from.
            image: the column of the paths.
            label: the column of the classes; or a list of columns of 0, 1 and NaN, which makes a multilabel cohort (a
                leading ``y_`` is no part of the finding's name).
            group: the column of the patients (lesions, ...); None if every image is a patient of its own.
            positive, size, mode, on_error, laterality, progress: as in ``from_folder``.

        Raises:
            ArgumentError, StorageError: as ``from_folder``.
            CohortError: as ``from_folder``, and missing columns, empty cells, an image named twice.
        """
        from medcourse.data.folders import table_parts

        images, table, classes = table_parts(table, root, image, label, group, positive, size, mode, on_error, progress)
        task: Task | None = None if isinstance(label, str) else "multilabel"
        return cls(images, table, classes, task=task, name=Path(root).resolve().name, laterality=laterality)

    # ------------------------------------------------------------------ what it holds

    @property
    def images(self) -> NDArray[np.uint8] | ImageRows:
        """uint8, N x C x H x W: the memory-mapped array, or for a subset a view of its rows."""
        return view(self._base, self._rows)

    @property
    def masks(self) -> NDArray[np.uint8] | ImageRows | None:
        """uint8, N x H x W, 1 inside; None when the data set has none."""
        return None if self._masks is None else view(self._masks, self._rows)

    @property
    def positive(self) -> str:
        """The positive class of a binary cohort.

        Raises:
            CohortError: it is not binary.
        """
        if self.task != "binary":
            raise CohortError(
                f"{self.name} is {self.task} ({len(self.classes)} classes: {', '.join(self.classes)}), so none of them "
                "is the positive one. Call relabel({...: ...}, positive=...) first."
            )
        return self.classes[1]

    @property
    def targets(self) -> NDArray[Any]:
        """int64, N: the position of each image's label in ``classes``.

        Of a multilabel cohort float64, N x K: 1 present, 0 absent, NaN not assessed.
        """
        return self._targets

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(self._base.shape[1])

    @property
    def size(self) -> int:
        """Height and width in pixels (images are square)."""
        return int(self._base.shape[-1])

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"{': '.join(self._words())}; {', '.join(f'{name} {n:,}' for name, n in self.counts().items())}"

    def _repr_html_(self) -> str:
        table = class_table(shown_in(self.targets, self.classes, self.table.index), self.table["group"])
        return as_html([*self._words(), table.assign(share=table["share"].map(percent))])

    def _words(self) -> tuple[str, str]:
        images, groups = count(len(self), "image"), count(self.table["group"].nunique(), "group")
        kind = " (PHANTOM: drawn, not real)" if self.is_phantom else ""
        return f"Cohort {self.name}{kind}", f"{images} of {self.channels} x {self.size} x {self.size}, {groups}"

    def counts(self) -> pd.Series:
        """Images of each class (multilabel: images that show the finding), in class order; 0 for none."""
        multilabel = self.task == "multilabel"
        found = (self.targets == 1).sum(0) if multilabel else np.bincount(self.targets, minlength=len(self.classes))
        return pd.Series(found, index=pd.Index(self.classes, name="label"), name="images")

    def read(self, rows: ArrayLike) -> NDArray[np.uint8]:
        """The images in these positions (int, within this cohort), copied into memory: uint8, n x C x H x W."""
        return np.ascontiguousarray(self._base[self._rows[np.asarray(rows)]])

    # ------------------------------------------------------------------ parts of it

    def subset(self, which: ArrayLike | Callable[[pd.DataFrame], ArrayLike]) -> "Cohort":
        """The images that a mask or a list of ids names, as views of the same array.

        Args:
            which: booleans (one per image; a Series is matched by its index), or image ids in the order wanted, or a
                function of the table that returns either.

        Raises:
            CohortError: a mask of another length, ids that do not exist or occur twice, or nothing left.
        """
        positions = positions_of(which, self.table, self.name)
        if len(positions) == 0:
            raise CohortError(f"this subset of {self.name} holds no image")
        return self._with(positions, self.table.iloc[positions], self.classes, self.task)

    def relabel(self, mapping: Mapping[str, str], positive: str | None = None) -> "Cohort":
        """Other class names, or fewer of them; images whose label the mapping leaves out leave the cohort.

        ``skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")`` makes a binary cohort of two of the
        seven diagnoses.

        A multilabel cohort keeps every image and loses the findings left out. Findings that become one are present when
        one of them is, absent when all are, else not assessed. With ``positive=`` it becomes binary, that finding
        against ``"no <finding>"``, without the images that were not assessed for it.

        Args:
            mapping: label (or finding) now -> then; several may become one.
            positive: the positive class. Required when two classes are left: it is stated, never guessed. Of three or more
                classes none is the positive one.

        Raises:
            CohortError: a label that does not exist, fewer than two classes left, a missing or unknown positive, or one of
                three or more classes.
        """
        unknown = [label for label in mapping if label not in self.classes]
        if unknown:
            raise CohortError(f"{self.name} has no class {unknown}; its classes are {', '.join(self.classes)}")
        names = list(dict.fromkeys(mapping.values()))
        if self.task == "multilabel":
            return self._relabel_findings(mapping, names, positive)
        classes = positive_last(names, positive, "the mapping", CohortError)
        kept = np.flatnonzero(self.table["label"].isin(list(mapping)))
        table = self.table.iloc[kept]
        table = table.assign(label=table["label"].map(dict(mapping)))
        return self._with(kept, table, classes, "binary" if len(classes) == 2 else "multiclass")

    def sample(self, n: int, prevalence: float | None = None, group: str | None = "group", seed: int = 0) -> "Cohort":
        """A random sample of about ``n`` images in whole groups; exactly ``n`` where groups are single images.

        Args:
            n: number of images, 1 or more.
            prevalence: share of the positive class in the sample, 0 < prevalence < 1 (binary cohorts); None leaves it to
                chance.
            group: table column that names whose images stay together; None: each image alone.
            seed: the same seed and cohort give the same sample.

        Raises:
            ArgumentError: a number outside its range.
            SplitError: no such column, fewer images (of a class) than are asked for, or no group that is small enough.
            CohortError: a prevalence of a cohort that is not binary.
        """
        return self.subset(sampled(self, n, prevalence, group, seed))

    # ------------------------------------------------------------------ inside

    def _relabel_findings(self, mapping: Mapping[str, str], names: list[str], positive: str | None) -> "Cohort":
        if not names or (positive is not None and positive not in names):
            raise CohortError(f"positive='{positive}' is none of the new findings {names}; map a finding to it")
        table = self.table.copy()
        for name in names:
            old = [self.classes.index(label) for label, new in mapping.items() if new == name]
            # max() passes NaN on: one finding absent and the other not assessed leaves both together not assessed
            table[f"y_{name}"] = np.where((self.targets[:, old] == 1).any(1), 1.0, self.targets[:, old].max(1))
        if positive is None:
            return self._with(np.arange(len(self)), table, tuple(names), "multilabel")
        kept = np.flatnonzero(table[f"y_{positive}"].notna())
        classes = (f"no {positive}", positive)
        table = table.iloc[kept]
        table = table.assign(label=np.array(classes, dtype=object)[table[f"y_{positive}"].astype(int)])
        return self._with(kept, table, classes, "binary")

    def _with(
        self, positions: NDArray[np.int64], table: pd.DataFrame, classes: tuple[str, ...], task: Task
    ) -> "Cohort":
        part = object.__new__(Cohort)
        part.__dict__.update(self.__dict__)
        part._rows = self._rows[positions]
        part.table = table.copy()
        part.classes = classes
        part.task = task
        part._targets = targets_of(part.table, classes, task)
        return part
