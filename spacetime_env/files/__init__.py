"""Files: writing them whole, and reading those that nobody vouches for.

In: paths and bytes. Out: bytes, arrays, and trees of dicts, lists and scalars, or a :class:`FileError`, a sentence
with the name of the file.

:func:`write_atomically` and :func:`write_together` write files whole or not at all. :func:`read_bytes` reads a regular
file of a bounded size; :func:`read_zip`, :func:`load_arrays`, :func:`read_yaml` and :func:`read_json` parse it, and
look at the sizes that it claims before they allocate. :func:`shown` is ``repr``, cut, for messages. Pictures are read
by :mod:`spacetime_env.files.pictures`, tensors by :mod:`spacetime_env.files.tensors`. Nothing is unpickled.
"""

from __future__ import annotations

from spacetime_env.files.numbers import is_count, is_number, is_whole
from spacetime_env.files.reading import FileError, load_arrays, open_zip, read_bytes, read_zip
from spacetime_env.files.shown import did_you_mean, shown, shown_names, shown_path, shown_text
from spacetime_env.files.trees import parse_json, parse_yaml, read_json, read_yaml
from spacetime_env.files.writing import Content, sweep, write_atomically, write_together

__all__ = [
    "Content",
    "FileError",
    "did_you_mean",
    "is_count",
    "is_number",
    "is_whole",
    "load_arrays",
    "open_zip",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_json",
    "read_yaml",
    "read_zip",
    "shown",
    "shown_names",
    "shown_path",
    "shown_text",
    "sweep",
    "write_atomically",
    "write_together",
]
