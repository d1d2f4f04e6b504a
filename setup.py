"""Packaging of hanoverd: the package, its twistd plugin and the command ``hanoverd``."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

#: Only for metrics, for `hanoverd web`, for archives in S3, and for archives that are compressed with zstd.
EXTRAS = {
    "metrics": ["prometheus-client>=0.21.0"],
    "web": ["jinja2>=3.1.6", "klein>=24.8.0", "prometheus-client>=0.21.0", "werkzeug>=3.1.6"],
    "s3": ["boto3>=1.34.0"],
    "zstd": ["zstandard>=0.23.0"],
}
ALL = [requirement for requirements in EXTRAS.values() for requirement in requirements]

#: What the unit tests need.
UNIT_TEST = [
    *ALL,
    "docutils",
    "hypothesis>=6.100",
    "jsonschema>=4.23",
    "packaging",
    "pytest>=9.0.3",
    "pytest-xdist>=3.8",
    "websockets>=14",
]


def version() -> str:
    """The version, which the package itself holds; read, not imported: its dependencies may not be there yet."""
    source = (HERE / "hanoverd" / "__init__.py").read_text()
    return source.split('__version__ = "')[1].split('"')[0]


setup(
    name="hanoverd",
    version=version(),
    description="Replaces one version of a Docker application with the next without its users noticing",
    license="MIT",
    author="the hanoverd authors",
    long_description=(HERE / "README.rst").read_text(),
    long_description_content_type="text/x-rst",
    keywords=["docker", "deployment", "zero downtime", "iptables", "continuous deployment"],
    # The program whose idea this one takes up.
    project_urls={"Original hanoverd (Go)": "https://github.com/sensiblecodeio/hanoverd"},
    python_requires=">=3.11",
    # twisted.plugins is Twisted's own namespace: a folder without __init__.py, to which each package adds a file.
    packages=[*find_packages(include=["hanoverd", "hanoverd.*"]), "twisted.plugins"],
    package_data={
        "hanoverd": ["py.typed", "api/openapi.json"],
        "hanoverd.web": ["templates/*.html", "static/*"],
    },
    data_files=[
        # The manual page and the completions of shells, in the folders of the environment where others look for them.
        *(
            (folder, [f"{folder}/{name}"])
            for folder, name in (
                ("share/man/man1", "hanoverd.1"),
                ("share/bash-completion/completions", "hanoverd"),
                ("share/zsh/site-functions", "_hanoverd"),
                ("share/fish/vendor_completions.d", "hanoverd.fish"),
            )
        ),
        # For Prometheus and Grafana.
        (
            "share/hanoverd/monitoring",
            ["share/monitoring/hanoverd.dashboard.json", "share/monitoring/hanoverd.rules.yml"],
        ),
    ],
    # The oldest versions without a known vulnerability: tests/unit/test_requirements.py has the reasons.
    install_requires=[
        "autobahn>=24.4.2",
        "docker>=7.1.0",
        "pyOpenSSL>=26.4.0",
        "requests>=2.33.0",
        "treq>=24.9.1",
        "Twisted[tls]>=26.4.0",
        "txaio>=23.1.1",
        "urllib3>=2.7.0",
        "zope.interface>=7.0.3",
        # Not used directly: these come with Twisted[tls] and requests, which would accept older ones.
        "certifi>=2024.7.4",
        "cryptography>=50.0.0",
        "idna>=3.15",
    ],
    extras_require={
        **EXTRAS,
        "all": ALL,
        "unit-test": UNIT_TEST,
        "test": [
            *UNIT_TEST,
            # Wheels exist for these only; from source it needs clang.
            'atheris>=3; platform_machine == "x86_64" and python_version < "3.15"',
            "axe-playwright-python>=0.1.8",
            "bcrypt",
            "moto[server]>=5",
            "mypy>=2",
            "mypy-zope>=1.0.14",
            "openapi-spec-validator>=0.7.1",
            "playwright>=1.60",
            "ruff>=0.15",
            "schemathesis>=4.32",
            "setuptools>=83.0.0",
            "types-docker",
            "types-docutils",
            "types-requests",
            "wheel>=0.46.2",
        ],
    },
    entry_points={"console_scripts": ["hanoverd = hanoverd.cli.main:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: No Input/Output (Daemon)",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "License :: OSI Approved :: MIT License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: Software Development :: Build Tools",
        "Topic :: System :: Clustering",
        "Topic :: System :: Software Distribution",
        "Typing :: Typed",
    ],
)
