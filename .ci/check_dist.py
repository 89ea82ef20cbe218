"""The wheel has one top-level package, and holds the shipped models and agents; so does the sdist."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

wheel, sdist = sys.argv[1:]
root = Path(__file__).parent.parent

with zipfile.ZipFile(wheel) as archive:
    in_wheel = set(archive.namelist())
with tarfile.open(sdist) as archive:
    in_sdist = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}

tops = {name.split("/")[0] for name in in_wheel}
tops = {top for top in tops if not top.endswith(".dist-info")}
assert tops == {"spacetime_env"}, f"top level of the wheel: {sorted(tops)}"

shipped = [
    p.relative_to(root).as_posix()
    for k in ("models", "agents")
    for p in (root / k).glob("*/*")
    if p.is_file()
]
assert any(name.endswith("model.safetensors") for name in shipped), "no model in models/"
assert any(name.endswith("policy.zip") for name in shipped), "no agent in agents/"
missing = [name for name in shipped if f"spacetime_env/_bundled/{name}" not in in_wheel]
missing += [name for name in shipped if name not in in_sdist]
assert not missing, f"not in the wheel or the sdist: {missing}"
assert "spacetime_env/py.typed" in in_wheel
assert "spacetime_env/shipped.sha256" in in_wheel
print(
    f"{wheel}: {len(in_wheel)} files, {Path(wheel).stat().st_size / 1e6:.1f} MB; {len(shipped)} shipped files"
)
