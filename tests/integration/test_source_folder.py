"""Images from folders: the build context compared with docker's, both builders, and two-stage builds."""

from __future__ import annotations

import os
import subprocess
import time

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from hanoverd.docker.abort import Abort
from hanoverd.docker.build_context import BuildContext
from hanoverd.images.folder import FolderSource
from hanoverd.runtime.clock import sleep
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.container import Image
from tests.integration.source_case import REACTOR, SOON, TINY, SourceCase
from tests.lab.contexts import IGNORES, dockers_context, entries, write_files
from tests.lab.images import BASE


class FolderCase(SourceCase):
    def build(self, options: BuildOptions | None = None, **environ: str) -> Deferred[Image]:
        """Build the test's folder."""
        return Deferred.fromCoroutine(self.obtain(FolderSource(".", self.context(build=options, environ=environ))))

    def dockerfile(self, text: str, name: str = "Dockerfile") -> None:
        """Write a Dockerfile."""
        (self.folder / name).write_text(text)


class OptionTests(FolderCase):
    async def test_build_arguments_are_passed_and_an_unset_one_stays_unset(self) -> None:
        self.dockerfile(f"FROM {BASE}\nARG A=a\nARG B=b\nLABEL content=$A$B\n")
        image = await self.build(BuildOptions(args={"A": "x y", "B": None}))
        self.assertEqual(self.label(image), "x yb")

    async def test_the_target_stage_is_built(self) -> None:
        self.dockerfile(f"FROM {BASE} AS one\nLABEL content=one\nFROM {BASE} AS two\nLABEL content=two\n")
        self.assertEqual(self.label(await self.build(BuildOptions(target="one"))), "one")
        self.assertEqual(self.label(await self.build()), "two")
        self.assertIn("three", await self.fails(self.build(BuildOptions(target="three"))))

    async def test_no_cache_builds_everything_again(self) -> None:
        self.dockerfile(f"FROM {BASE}\nRUN busybox date +%N > /now\n")
        images = [(await self.build(options)).id for options in (None, None, BuildOptions(no_cache=True))]
        self.assertEqual(images[0], images[1])
        self.assertNotEqual(images[1], images[2])

    async def test_the_dockerfile_may_be_elsewhere(self) -> None:
        (self.folder / "app" / "docker").mkdir(parents=True)
        self.dockerfile(TINY % "inside", "app/docker/web")
        self.dockerfile(f"{TINY % 'outside'}COPY docker/web /web\n", "web")
        context = self.context(build=BuildOptions(file="app/docker/web"))
        self.assertEqual(self.label(await self.obtain(FolderSource("app", context))), "inside")
        context = self.context(build=BuildOptions(file="web"))
        self.assertEqual(self.label(await self.obtain(FolderSource("app", context))), "outside")

    async def test_a_context_of_many_megabytes_is_streamed(self) -> None:
        (self.folder / "data").write_bytes(os.urandom(1 << 20) * 100)
        self.dockerfile(
            f'FROM {BASE}\nCOPY data /data\nRUN ["sh", "-c", "test $(busybox wc -c < /data) = 104857600"]\n'
        )
        await self.build()


class BuildKitTests(FolderCase):
    async def test_a_dockerfile_that_needs_it_is_built_with_it(self) -> None:
        self.dockerfile(f"FROM {BASE}\nRUN --mount=type=cache,target=/c busybox touch /c/x\nLABEL content=kit\n")
        self.assertEqual(self.label(await self.build()), "kit")
        self.assertIn("#1", "".join(self.progress))

    async def test_all_options_reach_buildkit(self) -> None:
        self.dockerfile(
            f"FROM {BASE} AS one\nARG A\nARG B=b\nCOPY --chmod=700 x /x\nLABEL content=$A$B\nFROM one\nRUN false\n",
            "other",
        )
        (self.folder / "x").write_text("x")
        options = BuildOptions(file="other", args={"A": "1", "B": None}, target="one", no_cache=True)
        self.assertEqual(self.label(await self.build(options)), "1b")

    async def test_a_step_that_fails_shows_its_output(self) -> None:
        self.dockerfile(f"FROM {BASE}\nRUN --mount=type=tmpfs,target=/t echo the disk is sad; exit 5\n")
        message = await self.fails(self.build())
        self.assertIn("docker build exited with an error", message)
        self.assertIn("the disk is sad", message)

    async def test_a_buildkit_build_can_be_cancelled(self) -> None:
        self.dockerfile(f"FROM {BASE}\nRUN --mount=type=tmpfs,target=/t busybox sleep 60\n")
        work = self.build()
        await self.until(lambda: "sleep 60" in "".join(self.progress))
        self.assertLess(await self.cancelled(work), SOON)
        await self.until(lambda: not self._sleeps(), seconds=30)

    def _sleeps(self) -> bool:
        listed = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
        return "busybox sleep 60" in listed

    async def test_a_missing_buildkit_is_reported(self) -> None:
        self.dockerfile(f"FROM {BASE}\nRUN --mount=type=cache,target=/c true\n")
        message = await self.fails(self.build(PATH="/nowhere"))
        self.assertIn("needs BuildKit (RUN --mount, line 2), and no docker command on PATH has it", message)
        self.dockerfile(TINY % "x")
        self.assertIn(
            "no docker command on PATH has BuildKit",
            await self.fails(self.build(BuildOptions(builder="buildkit"), PATH="/nowhere")),
        )
        await self.build(PATH="/nowhere")

    async def test_buildkit_can_be_selected(self) -> None:
        self.dockerfile(TINY % "chosen")
        self.assertEqual(self.label(await self.build(BuildOptions(builder="buildkit"))), "chosen")
        self.assertIn("#1", "".join(self.progress))


#: Prints the build context of the second stage.
TWO_STAGES = f"FROM {BASE}\nCOPY runtime /runtime\nCMD {{}}\n"
PRINTS = '["busybox", "tar", "-C", "/runtime", "-c", "."]'


class TwoStageTests(FolderCase):
    def setUp(self) -> None:
        super().setUp()
        (self.folder / "runtime").mkdir()
        self.dockerfile(TINY % "runtime", "runtime/Dockerfile")

    async def test_the_output_of_the_first_image_is_built(self) -> None:
        self.dockerfile(
            TWO_STAGES.format(
                '["sh", "-c", "echo noise >&2; busybox head -c 300000 /dev/zero > /runtime/zeros; exec busybox tar -C /runtime -c ."]'
            )
        )
        self.dockerfile(f"{TINY % 'runtime'}COPY zeros /zeros\n", "runtime/Dockerfile")
        image = await self.build()
        self.assertEqual((self.label(image), image.name.reference), ("runtime", "hanoverd/sourced-runtime:latest"))
        self.assertEqual(self.containers(), [])

    async def test_the_failure_and_the_output_of_the_first_image_are_reported(self) -> None:
        for command, message in (
            ('["sh", "-c", "echo the tree is ill >&2; exit 3"]', "exited with code 3.*the tree is ill"),
            ('["sh", "-c", "busybox tar -C /runtime -c .; exit 4"]', "exited with code 4"),
            ('["busybox", "true"]', "printed nothing"),
            ('["busybox", "echo", "no tar"]', "the build of the output of hanoverd/sourced:latest failed"),
            ('["/nowhere"]', "cannot run the container|no such file"),
        ):
            self.dockerfile(TWO_STAGES.format(command))
            self.assertRegex((await self.fails(self.build())).replace("\n", " "), message)
            self.assertEqual(self.containers(), [])

    async def test_output_without_end_is_cut_off_at_the_limit(self) -> None:
        self.dockerfile(TWO_STAGES.format('["busybox", "yes"]'))
        message = await self.fails(self.build(BuildOptions(context_limit=5 << 20)))
        self.assertIn("hanoverd/sourced:latest printed more than 5MiB (--build-context-limit)", message)
        self.assertEqual(self.containers(), [])

    async def test_a_cancelled_two_stage_build_leaves_nothing(self) -> None:
        self.dockerfile(TWO_STAGES.format('["busybox", "sleep", "60"]'))
        work = self.build()
        await self.until(lambda: [c["State"] for c in self.containers()] == ["running"])
        await sleep(REACTOR, 0.1)
        self.assertLess(await self.cancelled(work), SOON)
        self.assertEqual(self.containers(), [])

    async def test_leftovers_of_an_earlier_run_are_no_obstacle(self) -> None:
        body = {"Image": BASE, "Cmd": ["true"], "Labels": {"hanoverd.app": "sourced"}}
        self.lab.docker("POST", "/containers/create?name=sourced-runtime-context", body)
        self.dockerfile(TWO_STAGES.format(PRINTS))
        await self.build()
        self.assertEqual(self.containers(), [])


class HostileTests(FolderCase):
    """Folders whose author wants to read, fill or stop what is not theirs."""

    async def test_patterns_that_take_a_regular_expression_half_a_minute_do_not_stop_the_reactor(self) -> None:
        self.dockerfile(TINY % "matched")
        (self.folder / ".dockerignore").write_text(f"{'*a' * 6}\n{'**/' * 8}x\n")
        (self.folder / ("a" * 200 + "b")).touch()
        (self.folder / "/".join("a" * 40)).mkdir(parents=True)
        # The time of this process: others may have the processor for a while.
        gaps, last = [0.0], time.process_time()

        def tick() -> None:
            nonlocal last
            now = time.process_time()
            gaps.append(now - last)
            last = now

        ticking = LoopingCall(tick)
        ended = ticking.start(0.01)
        self.assertEqual(self.label(await self.build()), "matched")
        ticking.stop()
        await ended
        self.assertLess(max(gaps), 2)

    async def test_very_deep_folders_are_built(self) -> None:
        self.dockerfile(f"{TINY % 'deep'}COPY Dockerfile /\n")
        here = os.open(self.folder, os.O_RDONLY)
        for _ in range(1100):
            os.mkdir("d", dir_fd=here)
            here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
            os.close(above)
        os.close(here)
        try:
            self.assertEqual(self.label(await self.build()), "deep")
        finally:
            # The standard library needs a level of its own stack for each.
            subprocess.run(["rm", "-r", str(self.folder / "d")], check=True)

    async def test_links_out_of_the_folder_are_not_read(self) -> None:
        self.dockerfile(TINY % "x")
        for name in (".dockerignore", "Dockerfile.dockerignore", "runtime", "Dockerfile"):
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).symlink_to("/etc" if name == "runtime" else "/etc/passwd")
            message = await self.fails(self.build())
            self.assertIn("it is a symbolic link out of the folder", message)
            self.assertNotIn("root:", message)
            if name != "Dockerfile":
                (self.folder / name).unlink()

    async def test_a_huge_sparse_file_is_refused(self) -> None:
        self.dockerfile(TINY % "x")
        with (self.folder / "huge").open("wb") as file:
            file.truncate(1 << 40)
        self.assertIn('larger than 16GiB (--build-context-limit), at the file "huge"', await self.fails(self.build()))

    async def test_values_of_build_arguments_are_not_in_the_list_of_processes(self) -> None:
        self.dockerfile(f"FROM {BASE}\nARG TOKEN\nRUN --mount=type=tmpfs,target=/t busybox sleep 61\n")
        options = BuildOptions(args={"TOKEN": "hidden-1", "BUILD_KEY": "hidden-2", "DOCKER_PASSWORD": "hidden-3"})
        work = self.build(options, TOKEN="hidden-1")
        await self.until(lambda: "sleep 61" in "".join(self.progress))
        listed = subprocess.run(["ps", "ax", "-ww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        await self.cancelled(work)
        self.assertIn("--build-arg=TOKEN", listed)
        self.assertNotIn("hidden-", listed)


class ContextTests(SourceCase):
    """The build context has the same files, in the same tar, as that of ``docker build``."""

    def test_the_build_context_equals_that_of_docker(self) -> None:
        app = self.folder / "app"
        app.mkdir()
        write_files(app)
        for ignore in IGNORES:
            (app / ".dockerignore").write_text(ignore)
            theirs = dockers_context(app, self.folder / "docker.sock")
            ours = entries(b"".join(BuildContext(app, "Dockerfile").pack(Abort())))
            self.assertEqual(sorted(ours.items() ^ theirs.items()), [], ignore)
