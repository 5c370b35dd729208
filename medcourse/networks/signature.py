"""What kind of cohort a model was trained on."""

from dataclasses import dataclass

from medcourse.data.cohort import Cohort, Task


@dataclass(frozen=True)
class InputSignature:
    """Task, classes, channels and size: what must be the same in every cohort that a trained model is used on.

    Attributes:
        task: "binary", "multiclass" or "multilabel".
        classes: names, in the order of the logits.
        channels: of the images, 1 or 3.
        size: height and width in pixels.
    """

    task: Task
    classes: tuple[str, ...]
    channels: int
    size: int

    @classmethod
    def of(cls, cohort: Cohort) -> "InputSignature":
        """That of a cohort."""
        return cls(cohort.task, cohort.classes, cohort.channels, cohort.size)

    def __str__(self) -> str:
        return f"{self.task}: {', '.join(self.classes)}; {self.channels} x {self.size} x {self.size} pixels"
