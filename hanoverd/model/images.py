"""stub"""
from dataclasses import dataclass
@dataclass(frozen=True)
class ImageName:
    repository: str
    tag: str | None = None
    digest: str | None = None
    @property
    def reference(self) -> str: return f"{self.repository}:{self.tag or 'latest'}"
    @property
    def tag_or_digest(self) -> str: return self.tag or 'latest'
def built_name(app: str) -> ImageName: return ImageName("hanoverd/"+app)
