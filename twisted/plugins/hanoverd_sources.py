"""The kinds of sources in the box; loads nothing of them until one is chosen."""

from hanoverd.images.kinds import SourceKind

folder = SourceKind("folder", "hanoverd.images.folder.FolderSource")
image = SourceKind("image", "hanoverd.images.registry.RegistrySource")
git = SourceKind("git", "hanoverd.images.git.GitSource")
archive = SourceKind("docker-archive", "hanoverd.images.archive.ArchiveSource")
