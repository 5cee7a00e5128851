"""A machine that cannot run Spark skips the tests on it, and nothing of Spark outlives them."""

import os
import subprocess
import sys
import time

import pytest

from tests import sparkrun
from tests.faults import processes_of
from tests.sparkrun import Asked, Question, ask_spark, find_fault, read_answers

QUESTIONS = [Question("first", {}, ["select 1"]), Question("second", {}, ["select 2"])]

# In the place of PySpark: ``create`` is what it does to start.
SPARK = """
import os, pathlib, subprocess, sys, time
from types import SimpleNamespace as Some
from pyspark.errors import PySparkException

def ask(query):
    if query == "select 2": {second}
    return Some(columns=["a"], collect=lambda: [(1,)])

def create():
    {create}
    tracker = Some(getExecutorInfos=lambda: [0, 0, 0])
    count = Some(count=lambda: 10)
    context = Some(_jsc=Some(sc=lambda: Some(statusTracker=lambda: tracker)))
    return Some(range=lambda rows: Some(repartition=lambda parts: count), sparkContext=context, sql=ask)

builder = Some(getOrCreate=create)
builder.master = builder.config = lambda *given, **options: builder
SparkSession = Some(builder=builder)
"""
HANG = "subprocess.Popen(['sleep', '1000']); pathlib.Path('{mark}').write_text(str(os.getsid(0))); time.sleep(1000)"
ERRORS = """
class PySparkException(Exception): pass
class AnalysisException(PySparkException): pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs what is asked in the place of Spark."""

    def write(create="pass", second="pass"):
        files = {
            "pyspark/__init__.py": "",
            "pyspark/errors.py": ERRORS,
            "pyspark/sql.py": SPARK.format(create=create, second=second),
            "py4j/__init__.py": "",
            "py4j/protocol.py": "class Py4JError(Exception): pass\nclass Py4JJavaError(Py4JError): pass",
        }
        for name, text in files.items():
            path = tmp_path / "lib" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        paths = [str(tmp_path / "lib"), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    return write


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Sets what Java does when asked, and the kB of memory that are free and bytes that a container may take."""

    def set_up(java, free=99999999, limit="max"):
        (tmp_path / "java").write_text(f"#!/bin/sh\n{java}\n")
        (tmp_path / "java").chmod(0o755)
        paths = tmp_path / "meminfo", tmp_path / "memory.max"
        paths[0].write_text(f"MemTotal: 99999999 kB\nMemAvailable: {free:8} kB\n")
        paths[1].write_text(f"{limit}\n")
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setattr(sparkrun, "LIMITS", paths)

    return set_up


def say_version(text):
    return f"echo 'openjdk version \"{text}\" 2025-04-15' >&2"


@pytest.mark.parametrize(
    ("java", "memory", "words"),
    [
        (say_version("17.0.15"), {}, ""),
        (say_version("25"), {}, ""),
        (say_version("1.8.0_402"), {}, "java is Java 8; Spark runs on Java 17 to 25"),
        (say_version("11.0.2"), {}, "java is Java 11; Spark runs on Java 17 to 25"),
        (say_version("26-ea"), {}, "java is Java 26; Spark runs on Java 17 to 25"),
        ("exit 1", {}, "java is of no known version; Spark runs on Java 17 to 25"),
        ("sleep 1000", {}, "java does not say its version within 1 s"),
        (say_version("21.0.1"), {"free": 3 * 2**20}, "3.0 GiB of memory are free; Spark takes 4"),
        (say_version("21.0.1"), {"limit": 2**31}, "2.0 GiB of memory are free; Spark takes 4"),
    ],
)
def test_why_a_machine_cannot_run_spark(machine, java, memory, words):
    machine(java, **memory)

    fault = find_fault(1)

    assert fault.endswith(words)
    assert bool(fault) == bool(words)


def test_a_java_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    assert find_fault().startswith(f"no Java at {tmp_path}/gone/bin/java; ")

    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_fault().startswith("no Java; ")


def test_what_is_answered(install, tmp_path):
    install()

    assert ask_spark(tmp_path, QUESTIONS) == Asked(2, "")
    assert [(one.name, one.columns, one.rows) for one in read_answers(tmp_path)] == [
        ("first", ["a"], [[1]]),
        ("second", ["a"], [[1]]),
    ]


def test_a_spark_that_does_not_start_says_why(install, tmp_path):
    install(create="raise PySparkException('[GONE] Java ended.\\nIt was old.\\n\\tat java.Thread')")

    assert ask_spark(tmp_path, QUESTIONS) == Asked(0, "Spark does not start here: [GONE] Java ended. It was old.")


def test_what_spark_objects_to_is_an_answer(install, tmp_path):
    install(second="raise PySparkException('[NO] such function')")

    assert ask_spark(tmp_path, QUESTIONS) == Asked(2, "")
    assert [one.error for one in read_answers(tmp_path)] == ["", "[NO] such function"]


def test_answers_are_kept_where_spark_dies(install, tmp_path):
    install(second="os._exit(1)")

    assert ask_spark(tmp_path, QUESTIONS) == Asked(2, "Spark died, asked of second")
    assert [one.name for one in read_answers(tmp_path)] == ["first"]


def test_a_mistake_in_asking_fails(install, tmp_path):
    install(create="raise TypeError('not as Spark is called')")

    with pytest.raises(AssertionError, match="not as Spark is called"):
        ask_spark(tmp_path, QUESTIONS)


@pytest.mark.slow
def test_a_spark_that_hangs_is_ended(install, tmp_path, monkeypatch):
    monkeypatch.setattr(sparkrun, "START", 3)
    monkeypatch.setattr(sparkrun, "WHOLE", 8)
    install(create=HANG.format(mark=tmp_path / "mark"))

    assert ask_spark(tmp_path, QUESTIONS) == Asked(0, "Spark does not start here within 3 s")
    assert has_ended(tmp_path / "mark")

    install(second=HANG.format(mark=tmp_path / "other"))

    assert ask_spark(tmp_path, QUESTIONS) == Asked(2, "Spark had not answered all after 8 s, asked of second")
    assert has_ended(tmp_path / "other")


def test_spark_ends_with_tests_that_are_killed(install, tmp_path):
    mark = tmp_path / "mark"
    install(create=HANG.format(mark=mark))
    code = f"import pathlib; from tests.sparkrun import *; ask_spark(pathlib.Path({str(tmp_path)!r}), [])"
    asking = subprocess.Popen([sys.executable, "-c", code], cwd=sparkrun.ROOT)
    wait_until(lambda: mark.exists() and mark.read_text())

    asking.kill()
    asking.wait()

    assert has_ended(mark)


def has_ended(mark):
    """Whether all processes end soon of the session whose number is in the file ``mark``."""
    return wait_until(lambda: not list(processes_of(int(mark.read_text()))))


def wait_until(holds):
    ends = time.monotonic() + 30
    while not (held := holds()) and time.monotonic() < ends:
        time.sleep(0.02)
    return held
