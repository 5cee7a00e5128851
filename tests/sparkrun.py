"""Ask Spark questions, in a process of its own: what starts slowly, hangs or dies takes no test with it.

``python -m tests.sparkrun MASTER FOLDER``: FOLDER has ``questions.pickle``, a list of :class:`Question`. Each answer
is added to ``answers.pickle`` as soon as there is one; before the first there is ``started``, which says how many
executors there are, or ``refused``, which says why Spark does not start. It ends, and all that it began, when its
standard input ends, as where the tests were killed.

``python -m tests.sparkrun``: says why Spark cannot run on this machine, or nothing.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
START = 120
"""Seconds in which Spark has to start and to have shuffled a few rows; most machines take 15."""
WHOLE = 480
"""Seconds for everything; with what comes before it, less than pytest gives a test."""
JAVAS = range(17, 26)
"""Versions of Java that Spark 4.3 runs on."""
MEMORY = 4 * 2**30
"""Bytes that Spark's processes take together, and some more."""
LIMITS = (Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max"))
"""What memory there is on Linux, and how much of it a container has."""
MASTERS = ("local-cluster[2,1,1024]", "local[2]")
"""Two executors, each a process of its own; two threads, where executors cannot be reached."""
OPTIONS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "1g",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # Of few rows, compiling a query takes longer than its work, and so does planning it anew at each step.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


class Question(NamedTuple):
    """Statements, of which the last one is a query, about ``tables``: by name, the Parquet file or folder of each."""

    name: str
    tables: dict[str, str]
    statements: list[str]


class Answer(NamedTuple):
    """The columns and rows of a query, as plain values, or what Spark objects to; and the seconds it took."""

    name: str
    columns: list[str]
    rows: list[list[Any]]
    error: str
    seconds: float


class Asked(NamedTuple):
    """How it went: on how many executors, and why questions without an answer have none."""

    executors: int
    reason: str


def find_fault(seconds: float = 30) -> str:
    """Why this machine cannot run Spark: its Java, which has ``seconds`` to say its version, or its memory."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin/java")) if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return f"no Java{f' at {java}' if java else ''}; on Debian: apt-get install default-jre-headless"
    try:
        with _run_apart([java, "-version"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as ran:
            _, said = ran.communicate(timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return f"{java} does not say its version within {seconds:g} s"
    # Java 8 calls itself 1.8.
    version = re.search(rb'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) not in JAVAS:
        known = f"Java {version[1].decode()}" if version else "of no known version"
        return f"{java} is {known}; Spark runs on Java {JAVAS[0]} to {JAVAS[-1]}"
    if (free := _find_memory()) < MEMORY:
        return f"{free / 2**30:.1f} GiB of memory are free; Spark takes {MEMORY / 2**30:.0f}"
    return ""


def _find_memory() -> float:
    """Bytes that may be had, as far as the machine says."""
    free = [float("inf")]
    for path in LIMITS:
        with contextlib.suppress(OSError):
            if found := re.search(r"^(?:MemAvailable: +(\d+) kB|(\d+))$", path.read_text(), re.MULTILINE):
                free.append(int(found[1]) * 1024 if found[1] else int(found[2]))
    return min(free)


def ask_spark(folder: Path, questions: Sequence[Question]) -> Asked:
    """Let Spark answer in ``folder``, on two executors if they start.

    What is answered is there for :func:`read_answers`, also where Spark dies, or is not done in time.

    Raises:
        AssertionError: what asks Spark is wrong, and not Spark.
    """
    (folder / "questions.pickle").write_bytes(pickle.dumps(list(questions)))
    started, ended, refused = folder / "started", folder / "ended", folder / "refused"
    whole = time.monotonic() + WHOLE
    for master in MASTERS:
        with (folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "tests.sparkrun", master, str(folder)]
            with _run_apart(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log) as ran:
                if _wait(ran, started, min(whole, time.monotonic() + START)):
                    executors = int(started.read_text())
                    if _wait(ran, ended, whole):
                        return Asked(executors, "")
                    what = "died" if ran.poll() is not None else f"had not answered all after {WHOLE} s"
                    number = len(list(read_answers(folder)))
                    return Asked(executors, f"Spark {what}, asked of {questions[number].name}")
                # Python ended by an error, neither killed nor out of time.
                assert refused.exists() or (ran.poll() or 0) <= 0, (folder / "log").read_text(errors="replace")
    return Asked(0, refused.read_text() if refused.exists() else f"Spark does not start here within {START} s")


@contextlib.contextmanager
def _run_apart(command: list[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process, which is ended at last with all that it began."""
    ran = subprocess.Popen(command, start_new_session=True, **streams)
    try:
        yield ran
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ran.pid, signal.SIGKILL)
        ran.wait()


def _wait(ran: subprocess.Popen[bytes], mark: Path, ends: float) -> bool:
    """Whether the file is there before the process has ended and the time is over."""
    while not mark.exists() and ran.poll() is None and time.monotonic() < ends:
        time.sleep(0.1)
    return mark.exists()


def read_answers(folder: Path) -> Iterator[Answer]:
    """The answers that are there; one that was being written when Spark died is none."""
    path = folder / "answers.pickle"
    if not path.exists():
        return
    with path.open("rb") as file:
        while True:
            try:
                yield Answer(*pickle.load(file))
            except (EOFError, pickle.UnpicklingError):
                return


def main(master: str, folder: Path) -> None:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    threading.Thread(target=_end_with_input, daemon=True).start()
    # The name of this machine may lead to a network that is not there.
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "127.0.0.1"}
    options = {**OPTIONS, "spark.sql.warehouse.dir": str(folder / "made"), "spark.local.dir": str(folder / "scratch")}
    try:
        spark = SparkSession.builder.master(master).config(map=options).getOrCreate()
        spark.range(10).repartition(2).count()
    except (PySparkException, Py4JError) as error:
        (folder / "refused").write_text(" ".join(["Spark does not start here:", *_shorten(error).splitlines()[:2]]))
        return
    # The driver counts itself.
    executors = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    _write_whole(folder / "started", str(len(executors) - 1))
    registered: dict[str, str] = {}
    with (folder / "answers.pickle").open("wb") as file:
        for question in pickle.loads((folder / "questions.pickle").read_bytes()):
            answer = _answer(spark, question, registered)
            pickle.dump(tuple(answer), file)
            file.flush()
    (folder / "ended").touch()


def _end_with_input() -> None:
    """End this process and all of its session when nobody is there any more who waits for the answers."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpid(), signal.SIGKILL)


def _write_whole(path: Path, text: str) -> None:
    """Write a file that is there once its text is."""
    made = path.with_suffix(".new")
    made.write_text(text)
    made.rename(path)


def _answer(spark: Any, question: Question, registered: dict[str, str]) -> Answer:
    """``registered`` are the tables that Spark has by now."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import AnalysisException, PySparkException

    began = time.monotonic()
    for chance in (1, 2):
        try:
            for name, path in question.tables.items():
                if registered.get(name) != path:
                    spark.read.parquet(path).createOrReplaceTempView(name)
                    registered[name] = path
            for statement in question.statements[:-1]:
                spark.sql(statement)
                if statement.startswith("CREATE OR REPLACE TEMPORARY VIEW"):
                    registered[statement.split()[5]] = ""
            found = spark.sql(question.statements[-1])
            rows = [[_plain(cell) for cell in row] for row in found.collect()]
            return Answer(question.name, found.columns, rows, "", time.monotonic() - began)
        except (PySparkException, Py4JJavaError) as error:
            # An executor that was lost may be back; what Spark cannot do it cannot do again.
            if chance == 2 or isinstance(error, AnalysisException):
                return Answer(question.name, [], [], _shorten(error), time.monotonic() - began)
    raise AssertionError("the second chance is the last")


def _shorten(error: Exception) -> str:
    """What Spark says, without where in Java that was."""
    lines = str(error).splitlines()
    return "\n".join(line for line in lines if not line.startswith("\tat "))


def _plain(cell: Any) -> Any:
    """A cell without Spark's own types."""
    if hasattr(cell, "asDict"):
        return {name: _plain(value) for name, value in cell.asDict().items()}
    if isinstance(cell, list):
        return [_plain(one) for one in cell]
    if isinstance(cell, dict):
        return {name: _plain(value) for name, value in cell.items()}
    return cell


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1], Path(sys.argv[2]))
    elif fault := find_fault():
        print(fault)
