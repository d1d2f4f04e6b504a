"""stub"""
from dataclasses import dataclass
@dataclass(frozen=True)
class Publish:
    host_ip: str | None
    host_port: range | None
    container_port: int
    protocol: str = "tcp"
