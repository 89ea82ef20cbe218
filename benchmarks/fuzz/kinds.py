"""The table of kinds of input. A new kind joins with a line in :data:`KINDS`, and functions to spoil and to load it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzz import loads, seed_agents, seeds, spoil, spoil_agents, spoil_data
from benchmarks.fuzz.places import mutate_name, mutate_place
from benchmarks.fuzz.spoil import Spoiled
from benchmarks.fuzz.values import Rng


@dataclass(frozen=True)
class Case:
    """What is loaded, and how it came about."""

    path: str
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aware: bool = False


@dataclass
class Kind:
    """A kind of input.

    Attributes:
        name: on the command line and in the table.
        seeds: makes valid folders below the one it is given, and says which words go with each.
        spoil: breaks the files of such a folder.
        load: loads what a path leads to, and uses it; takes the words too.
        errors: built-in classes that the entry points document; see :mod:`benchmarks.fuzz.judge`.
        named: a name may be given in place of a folder, as on a command line.
    """

    name: str
    seeds: Callable[[Path], seeds.Valid]
    spoil: Callable[[Rng, Spoiled], None]
    load: Callable[[str, list[str]], None]
    errors: tuple[type[BaseException], ...] = (ValueError,)
    named: bool = False
    valid: list[tuple[dict[str, bytes], list[str]]] = field(default_factory=list, repr=False)

    def prepare(self, folder: Path) -> None:
        """Make valid inputs, and load each as it is: so nothing is imported later, and they are right."""
        loads.get_ready()
        self.valid = []
        for path, words in self.seeds(folder):
            files = {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.is_file()}
            self.load(str(path), words)
            self.valid.append((files, words))
        shutil.rmtree(folder)

    def make(self, rng: Rng, folder: Path) -> Case:
        """A case in ``folder``, which is made."""
        files, words = self.valid[rng.integers(len(self.valid))]
        made = Spoiled(dict(files), words=list(words))
        self.spoil(rng, made)
        folder.mkdir()
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
        path, notes, draw = str(folder), made.notes, rng.random()
        if draw < 0.05:
            notes = [*notes, mutate_place(rng, folder)]
        elif draw < 0.07 and self.named:
            path, said = mutate_name(rng)
            notes = [said]
        return Case(path, made.words, notes, made.aware)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("models", seeds.model_folders, spoil.a_model, loads.a_model, named=True),
        Kind("joint", seeds.joint_folders, spoil.a_model, loads.a_model, named=True),
        Kind("agents", seed_agents.agent_folders, spoil_agents.an_agent, loads.an_agent, named=True),
        Kind("runs", seed_agents.run_folders, spoil_agents.a_run, loads.a_run),
        Kind("configs", seeds.config_folders, spoil.settings, loads.settings, named=True),
        Kind("hyperparameters", seed_agents.settings_folders, spoil_agents.hyperparameters, loads.hyperparameters),
        Kind("splits", seeds.split_folders, spoil_data.a_split, loads.a_split, named=True),
        Kind("checkpoints", seeds.checkpoint_folders, spoil_data.a_checkpoint, loads.a_checkpoint),
        Kind("classifiers", seeds.classifier_folders, spoil_data.classifiers, loads.classifiers),
        Kind("published", seeds.published_folders, spoil_data.a_published, loads.a_published),
        Kind("pictures", seeds.picture_folders, spoil_data.a_picture, loads.a_picture),
        Kind("picture-folders", seeds.stills_folders, spoil_data.stills, loads.a_picture_folder),
        Kind("boxes", seeds.stills_folders, spoil_data.boxes, loads.a_picture_folder),
    )
}
