"""A file system that is away is tried again (4); a fault in a file is refused with its name (2)."""

import gzip
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from distill.errors import BadInput, Infrastructure
from jobs.common.failures import error_of
from jobs.common.file_errors import file_error
from jobs.ingest.inputs import count, read_input
from jobs.warehouse.files import Files
from tests.conftest import submit

FIELDS = ("opinion_id", "text")
CALL = "An error occurred while calling o1.text.\n: {}\n\tat org.apache.hadoop.ipc.Client.call(Client.java:1558)\n"
READ = (
    "An error occurred while calling o1.count.\n: org.apache.spark.SparkException: [FAILED_READ_FILE.{}] Encountered "
    "error while reading file hdfs://nn/day%20%E5%9D%8F.gz.  SQLSTATE: KD001\n\tat org.apache.spark.A.b(A.scala:1)\n"
    "Caused by: {}\n\tat java.base/java.lang.Thread.run(Thread.java:840)\n"
)
REMOTE = "org.apache.hadoop.ipc.RemoteException"
AWAY = [
    "java.net.ConnectException: Call From h/127.0.0.1 to nn:8020 failed on connection exception: x; For more details",
    "java.lang.IllegalArgumentException: java.net.UnknownHostException: nn.invalid",
    "java.net.NoRouteToHostException: No Route to Host from h to nn:8020 failed",
    "java.net.SocketTimeoutException: Call From h to nn:8020 failed on socket timeout exception: x",
    "org.apache.hadoop.net.ConnectTimeoutException: Call From h to nn:8020 failed on socket timeout exception",
    "java.net.SocketException: Connection reset",
    "java.io.EOFException: End of File Exception between local host is: h; destination host is: nn:8020",
    "java.io.IOException: Failed on local exception: java.io.IOException: Connection reset by peer",
    f"{REMOTE}(org.apache.hadoop.ipc.StandbyException): Operation category READ is not supported in state standby.",
    f"{REMOTE}(org.apache.hadoop.hdfs.server.namenode.SafeModeException): Cannot create x. Name node is in safe mode.",
    f"{REMOTE}(org.apache.hadoop.ipc.RetriableException): NameNode still not started",
    f"{REMOTE}(org.apache.hadoop.security.token.SecretManager$InvalidToken): token (x) is expired",
    "java.io.IOException: DestHost:destPort nn:8020. Failed on local exception: org.apache.hadoop.security."
    "AccessControlException: Client cannot authenticate via:[TOKEN, KERBEROS]",
    "org.apache.hadoop.hdfs.BlockMissingException: Could not obtain block: BP-1:blk_2 file=/day.gz",
    "org.apache.hadoop.fs.s3a.AWSServiceIOException: getFileStatus on s3a://b/x: 503: Slow Down",
    "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: x",
    "org.apache.hadoop.fs.s3a.AWSClientIOException: software.amazon.awssdk.core.exception.ApiCallTimeoutException",
    "java.io.FileNotFoundException: /day.gz (Too many open files)",
    "java.io.IOException: Input/output error",
]
FAULTS = [
    ("NO_HINT", "java.io.EOFException: Unexpected end of input stream", "Unexpected end of input stream"),
    ("NO_HINT", "java.io.IOException: can not read class PageHeader: don't know what type: 15", "can not read class"),
    ("NO_HINT", "org.apache.hadoop.fs.ChecksumException: Checksum error: file:/x at 0 exp: 1 got: 2", "Checksum error"),
    ("FILE_NOT_EXIST", "java.io.FileNotFoundException: /day.gz (Permission denied)", "(Permission denied)"),
    ("NO_HINT", "java.io.IOException: invalid ConnectException.csv or Timeout", "invalid ConnectException.csv"),
]


@pytest.mark.parametrize("cause", AWAY)
def test_a_file_system_that_is_away_is_to_be_tried_again(tmp_path, monkeypatch, cause):
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    for text in (CALL.format(cause), READ.format("NO_HINT", cause), READ.format("FILE_NOT_EXIST", cause)):
        error = error_of(RuntimeError(text))
        assert type(error) is Infrastructure and "cannot be reached: " in str(error), text
        assert "\n" not in str(error)
    assert str(error).startswith("hdfs://nn/day 坏.gz cannot be reached: ")


@pytest.mark.parametrize(("condition", "cause", "message"), FAULTS)
def test_a_fault_in_a_file_is_not_to_be_tried_again(tmp_path, monkeypatch, condition, cause, message):
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    error = error_of(RuntimeError(READ.format(condition, cause)))
    assert type(error) is BadInput
    assert str(error).startswith("hdfs://nn/day 坏.gz cannot be read: ") and message in str(error)


def test_a_file_that_was_replaced_while_it_was_read_is_to_be_tried_again():
    error = file_error(READ.format("FILE_NOT_EXIST", "java.io.FileNotFoundException: File does not exist: /day"))
    assert type(error) is Infrastructure and str(error).startswith("hdfs://nn/day 坏.gz was removed while it was read")


def test_a_refused_permission_on_hdfs_is_not_to_be_tried_again():
    cause = "org.apache.hadoop.security.AccessControlException: Permission denied: user=svc, access=WRITE, inode=/o"
    error = file_error(CALL.format(cause))
    assert type(error) is BadInput
    assert str(error) == "no access to files: Permission denied: user=svc, access=WRITE, inode=/o"


def test_other_errors_are_none_of_a_file_system():
    assert file_error(CALL.format("java.lang.IllegalStateException: x")) is None
    # A frame of the trace is where, not why.
    assert file_error("x\n\tat java.net.SocketException.init(SocketException.java:1)\n") is None


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    ("path", "message"),
    [("hdfs://localhost:1/x", "Connection refused"), ("hdfs://no-such-host.invalid/[x]*", "no-such-host.invalid")],
)
def test_an_input_on_hdfs_that_does_not_answer_is_to_be_tried_again(spark, path, message, kind):
    with pytest.raises(Infrastructure, match=f"cannot be reached: .*{message}"):
        read_input(spark, path, kind, FIELDS, needed=2)


@pytest.mark.spark
def test_a_warehouse_on_hdfs_that_does_not_answer_is_to_be_tried_again(spark, database, tmp_path):
    for act in (Files.exists, Files.names, Files.read_text, Files.make_folder, Files.delete):
        with pytest.raises(Py4JJavaError) as failed:
            act(Files(spark, "hdfs://localhost:1/data"), "hdfs://localhost:1/data/x")
        assert type(error_of(failed.value)) is Infrastructure, act
    spark.sql(f"CREATE DATABASE {database}")
    spark.sql(
        f"CREATE EXTERNAL TABLE {database}.t (a string) PARTITIONED BY (dt string) STORED AS PARQUET "
        f"LOCATION 'file://{tmp_path}'"
    )
    with pytest.raises((PySparkException, Py4JJavaError)) as failed:
        spark.sql(f"ALTER TABLE {database}.t ADD PARTITION (dt='1') LOCATION 'hdfs://localhost:1/x'")
        spark.table(f"{database}.t").where("dt = '1'").collect()
    assert type(error_of(failed.value)) is Infrastructure


@pytest.mark.spark
def test_a_file_that_is_not_there_is_not_there(spark, tmp_path):
    files = Files(spark, f"file://{tmp_path}")
    with pytest.raises(FileNotFoundError):
        files.read_text(f"file://{tmp_path}/x")


@pytest.mark.spark
def test_a_damaged_file_of_the_warehouse_is_named(spark, tmp_path):
    path = tmp_path / "part-0.parquet"
    pq.write_table(pa.table({"text": [f"a{i}" for i in range(3000)]}), path, compression="none")
    raw = bytearray(path.read_bytes())
    raw[4:3000] = b"\xff" * 2996
    path.write_bytes(raw)
    with pytest.raises((PySparkException, Py4JJavaError)) as failed:
        spark.read.schema("text string").parquet(str(tmp_path)).selectExpr("max(length(text))").collect()
    error = error_of(failed.value)
    assert type(error) is BadInput and str(error).startswith(f"{path} cannot be read: ")


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_packed_file_that_is_cut_off_is_named(spark, tmp_path, kind):

    path = tmp_path / "日 志 100%.gz"
    path.write_bytes(gzip.compress(b"opinion_id,text\n" + os.urandom(9000).hex().encode())[:-12])
    with pytest.raises(BadInput, match=rf"^{path} cannot be read: Unexpected end"):
        count(read_input(spark, str(tmp_path), kind, FIELDS, needed=2), str(tmp_path))


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(
    ("job", "path", "code"),
    [
        (["load_opinions", "--dt", "2026-11-09"], "hdfs://localhost:1/x", Infrastructure.exit_code),
        (["load_labels", "--format", "csv"], "hdfs://no-such-host.invalid/x", Infrastructure.exit_code),
    ],
)
def test_a_job_ends_with_the_code_that_starts_it_again(tmp_path, job, path, code):
    done = submit(*job, "--input", path, home=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: a file system or service cannot be reached: ")


@pytest.mark.slow
@pytest.mark.spark
def test_a_job_refuses_a_damaged_page_by_name(tmp_path):
    path = tmp_path / "day.parquet"
    pq.write_table(pa.table({"opinion_id": [f"a{i}" for i in range(3000)], "text": ["x"] * 3000}), path)
    raw = bytearray(path.read_bytes())
    raw[30:2000] = b"\xff" * 1970
    path.write_bytes(raw)
    flags = ["--dt", "2026-11-09", "--format", "parquet", "--input", str(path)]
    done = submit("load_opinions", *flags, home=tmp_path / "home")
    assert done.returncode == BadInput.exit_code, done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: {path} cannot be read: ")
