"""The kinds of sources in the box; loads nothing of them until one is chosen."""

from hanoverd.sources.kinds import SourceKind

folder = SourceKind("folder", "hanoverd.sources.folder.FolderSource")
image = SourceKind("image", "hanoverd.sources.registry.RegistrySource")
git = SourceKind("git", "hanoverd.sources.git.GitSource")
archive = SourceKind("docker-archive", "hanoverd.sources.archive.ArchiveSource")
