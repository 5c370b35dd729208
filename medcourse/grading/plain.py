"""Values that cross from a process with a student's code into one without: plain data, rebuilt piece by piece.

Numbers, text, collections, arrays, tables and tensors cross by value. A function crosses as a place to call. Nothing else
does: an object of a student's own class could answer every comparison with True. What arrives is read by an unpickler that
knows no class and no function, so reading runs no code of the sender.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

_SAME = (type(None), type(...), bool, int, float, str, bytes)
_COLLECTIONS: dict[str, type] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}

Proxy = Callable[[int, str, bool], Any]  # number of a function, its name, whether it is empty -> what stands for it


class NotPlainError(Exception):
    """A value that does not cross."""


def dumps(value: Any, functions: list[Callable[..., Any]] | None = None) -> bytes:
    """Return a value as bytes.

    Args:
        value: plain data.
        functions: takes in the functions found, which then cross as their place in this list; None: they do not cross.

    Raises:
        NotPlainError: the value, or one inside it, is of another kind; says which.
    """
    return pickle.dumps(_taken_apart(value, functions), protocol=5)


def loads(data: bytes, proxy: Proxy | None = None) -> Any:
    """Rebuild what `dumps` was given; ``proxy`` makes what stands for a function.

    Raises:
        NotPlainError: the bytes are something else, which a hostile sender may have written.
    """
    try:
        return _rebuilt(_Unpickler(io.BytesIO(data)).load(), proxy)
    # whatever a forged message breaks: there is one answer to it
    except Exception as error:
        raise NotPlainError(f"it cannot be read ({type(error).__name__})") from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise NotPlainError(f"{module}.{name}")


def _taken_apart(value: Any, functions: list[Callable[..., Any]] | None) -> Any:
    import numpy as np

    kind = type(value)
    if kind in _SAME:
        return ("=", value) if value is not ... else ("...",)
    if kind.__name__ in _COLLECTIONS and kind is _COLLECTIONS[kind.__name__]:
        return (kind.__name__, [_taken_apart(item, functions) for item in value])
    if kind is dict:
        return ("dict", [(_taken_apart(k, functions), _taken_apart(v, functions)) for k, v in value.items()])
    if kind is complex:
        return ("complex", value.real, value.imag)
    if kind is range:
        return ("range", value.start, value.stop, value.step)
    if isinstance(value, np.generic):
        return ("scalar", *_array(np.asarray(value)))
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return ("objects", value.shape, [_taken_apart(item, functions) for item in value.ravel().tolist()])
        return ("array", *_array(np.asarray(value)))
    if functions is not None and callable(value) and not isinstance(value, type) and not hasattr(value, "parameters"):
        from medcourse.teaching.checks import is_empty_function

        functions.append(value)
        return ("function", len(functions) - 1, str(getattr(value, "__name__", "function")), is_empty_function(value))
    return _table(value) or _tensor(value)


def _array(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    if value.dtype.kind not in "biufcSUmM":
        raise NotPlainError(f"an array of {value.dtype}")
    return value.dtype.str, value.shape, value.tobytes()


def _table(value: Any) -> Any:
    """A pandas Series, DataFrame or Index taken apart; None for anything else."""
    import pandas as pd

    if isinstance(value, pd.Series):
        return ("series", _column(value), _taken_apart(value.index, None), _taken_apart(value.name, None))
    if isinstance(value, pd.DataFrame):
        columns = [_column(value.iloc[:, place]) for place in range(value.shape[1])]
        return ("frame", columns, _taken_apart(value.index, None), _taken_apart(value.columns, None))
    if isinstance(value, pd.MultiIndex):
        return ("levels", _taken_apart(value.tolist(), None), _taken_apart(list(value.names), None))
    if isinstance(value, pd.Index):
        return ("index", _column(value.to_series()), _taken_apart(value.name, None))
    return None


def _column(series: Any) -> tuple[str, Any]:
    """(type, values); types of pandas' own are rebuilt from their words."""
    import numpy as np

    if isinstance(series.dtype, np.dtype) and series.dtype != object:
        return "", _taken_apart(series.to_numpy(), None)
    return str(series.dtype), _taken_apart(series.astype(object).tolist(), None)


def _tensor(value: Any) -> Any:
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and type(value) is torch.Tensor and value.device.type == "cpu":
        try:
            return ("tensor", _taken_apart(value.detach().numpy(), None))
        except (TypeError, RuntimeError) as error:
            raise NotPlainError(f"a tensor that NumPy does not know ({error})") from None
    raise NotPlainError(f"an object of the kind {type(value).__name__!r}")


def _rebuilt(parts: Any, proxy: Proxy | None) -> Any:
    import numpy as np
    import pandas as pd

    kind, *rest = parts
    if kind == "=":
        return rest[0]
    if kind == "...":
        return ...
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](_rebuilt(item, proxy) for item in rest[0])
    if kind == "dict":
        return {_rebuilt(key, proxy): _rebuilt(value, proxy) for key, value in rest[0]}
    if kind == "complex":
        return complex(*rest)
    if kind == "range":
        return range(*rest)
    if kind == "scalar":
        return _as_array(*rest)[()]
    if kind == "array":
        return _as_array(*rest)
    if kind == "objects":
        items = np.empty(len(rest[1]), dtype=object)
        for place, item in enumerate(rest[1]):
            items[place] = _rebuilt(item, proxy)
        return items.reshape(rest[0])
    if kind == "function" and proxy is not None:
        return proxy(*rest)
    if kind == "series":
        return pd.Series(_as_column(rest[0]), index=_rebuilt(rest[1], None), name=_rebuilt(rest[2], None))
    if kind == "frame":
        index, labels = _rebuilt(rest[1], None), _rebuilt(rest[2], None)
        made = pd.DataFrame({place: _as_column(column) for place, column in enumerate(rest[0])}, index=index)
        return made.set_axis(labels, axis=1)
    if kind == "levels":
        return pd.MultiIndex.from_tuples(_rebuilt(rest[0], None), names=_rebuilt(rest[1], None))
    if kind == "index":
        return pd.Index(_as_column(rest[0]), name=_rebuilt(rest[1], None))
    if kind == "tensor":
        import torch

        return torch.from_numpy(_rebuilt(rest[0], None))
    raise NotPlainError(repr(kind))


def _as_array(dtype: str, shape: tuple[int, ...], data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()


def _as_column(column: tuple[str, Any]) -> Any:
    import pandas as pd

    dtype, values = column
    return pd.array(_rebuilt(values, None), dtype=dtype) if dtype else _rebuilt(values, None)
