"""stub"""
from dataclasses import dataclass
from typing import Any
@dataclass(frozen=True)
class Settings:
    folder: str; image: Any; command: Any; app: str; env: Any; publish: Any; binds: Any; anonymous_volumes: Any; mounts: Any
    status_uri: str; status_timeout: float; disable_overlap: bool; overlap_grace: float; drain_timeout: float
    drain_signal: Any; stop_timeout: Any; stop_signal: Any
