"""Ask Spark questions, in a process of its own: what starts slowly, hangs or dies takes no test with it.

``python -m tests.sparkrun MASTER FOLDER``: FOLDER has ``questions.pickle``, a list of :class:`Question`. Each answer
is added to ``answers.pickle`` as soon as there is one; before the first, ``started`` is there.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

START = 120
"""Seconds in which Spark has to start and to have shuffled a few rows; most machines take 15."""
WHOLE = 480
"""Seconds for everything."""
MASTERS = ("local-cluster[2,1,1024]", "local[2]")
"""Two executors, each a process of its own; two threads, where executors cannot be reached or have no memory."""
OPTIONS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "1g",
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
    """The rows of a query, as plain values, or what Spark objects to; and the seconds it took."""

    name: str
    rows: list[list[Any]] | None
    error: str
    seconds: float


def ask_spark(folder: Path, questions: Sequence[Question]) -> str:
    """Let Spark answer in ``folder``, on two executors if they start; the reason where it cannot, or dies.

    What is answered by then is there for :func:`read_answers`.
    """
    (folder / "questions.pickle").write_bytes(pickle.dumps(list(questions)))
    ends = time.monotonic() + WHOLE
    for master in MASTERS:
        with (folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "tests.sparkrun", master, folder]
            ran = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                started = _wait(ran, folder / "started", min(ends, time.monotonic() + START))
                ended = started and _wait(ran, folder / "ended", ends)
            finally:
                # Spark's processes are in the session of the one that began them.
                os.killpg(ran.pid, signal.SIGKILL)
                ran.wait()
        if ended:
            return ""
        if started:
            return f"Spark died, or had not answered all after {WHOLE} s"
    return f"Spark does not start here within {START} s"


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
    from pyspark.sql import SparkSession

    # Nobody ends it where the tests were killed.
    signal.alarm(WHOLE)
    # The name of this machine may lead to a network that is not there.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    options = {**OPTIONS, "spark.sql.warehouse.dir": str(folder / "made"), "spark.local.dir": str(folder / "scratch")}
    spark = SparkSession.builder.master(master).config(map=options).getOrCreate()
    spark.range(10).repartition(2).count()
    (folder / "started").touch()
    registered: dict[str, str] = {}
    with (folder / "answers.pickle").open("wb") as file:
        for question in pickle.loads((folder / "questions.pickle").read_bytes()):
            answer = _answer(spark, question, registered)
            pickle.dump(tuple(answer), file)
            file.flush()
    (folder / "ended").touch()


def _answer(spark: Any, question: Question, registered: dict[str, str]) -> Answer:
    """``registered`` are the tables that Spark has by now."""
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
            rows = [[_plain(cell) for cell in row] for row in spark.sql(question.statements[-1]).collect()]
            return Answer(question.name, rows, "", time.monotonic() - began)
        except PySparkException as error:
            # An executor that was lost may be back; what Spark cannot do it cannot do again.
            if chance == 2 or isinstance(error, AnalysisException):
                return Answer(question.name, None, str(error), time.monotonic() - began)
    raise AssertionError("the second chance is the last")


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
    main(sys.argv[1], Path(sys.argv[2]))
