"""The console before services into which a test injects what failed."""

from dataclasses import dataclass

from support.console.system import System
from support.explanations.scene import Scene


@dataclass(frozen=True)
class Stage:
    scene: Scene
    system: System
