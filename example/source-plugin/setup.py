"""A package with a source of images: it adds one file to ``twisted/plugins``."""

from setuptools import setup

setup(
    name="hanoverd-example-source",
    version="1.0",
    py_modules=["hanoverd_example_source"],
    packages=["twisted.plugins"],
    install_requires=["hanoverd"],
)
