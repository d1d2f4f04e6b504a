"""Lists hanoverd among the services of ``twistd --help``; loads nothing of it until it is chosen."""

from twisted.application.service import ServiceMaker

hanoverd = ServiceMaker(
    "hanoverd",
    "hanoverd.tap",
    "Replaces one version of a Docker application with the next without its users noticing.",
    "hanoverd",
)
