"""The tables. A column of JSON is text, so that every database gives back exactly what was put in."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

RUN = Table(
    "run",
    metadata,
    Column("serial", Integer, primary_key=True),  # the order in which runs were added, whatever the clocks say
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("spec", Text, nullable=False),  # JSON: the spec of its kind
    Column("state", String, nullable=False),
    Column("wish", String, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("owner", String),  # the claim: whose token, and until when
    Column("expires_at", Double),
    Column("reason", Text),  # why it ended before its trials did
    Column("worked_seconds", Double, nullable=False, server_default="0"),  # while it was claimed, until renewed_at
    Column("renewed_at", Double),
    Column("submitted_by", String),  # whose token did it
    Column("expected_gain", Double),  # of the last job that says so
    Column("label", Text),  # JSON: Label
    Column("turn", Integer, nullable=False, server_default="0"),  # the lowest of those that wait is next
    Column("again", Text),  # JSON: numbers of trials whose latency is to be measured again
    Column("sent_as", String),  # digests of a request that may be sent again: of its sender and key, and of its body
    Column("sent", String),
    Index(None, "state", "serial"),
    Index(None, "sent_as", unique=True),
)

TRIAL = Table(
    "trial",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),
    Column("job", Text, nullable=False),  # JSON: Job
    Column("measurement", Text),  # JSON: Measurement
    Column("error", Text),
    Column("progress", Text),  # JSON: Progress
    Column("finished", Integer),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("compute_seconds", Double),
    Column("traceback", Text),  # of what made it fail
    UniqueConstraint("run", "finished"),
    Index(None, "ended_at"),
)

# What lists, plots and fronts need of a trial, apart from its long texts: nas.outlines says what each column is.
OUTLINE = Table(
    "outline",
    metadata,
    Column("run", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),
    Column("role", String, nullable=False),
    Column("finished", Integer),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("compute_seconds", Double),
    Column("rung", Integer),
    Column("baseline", String),
    Column("repeats", Integer),
    Column("promotes", Integer),
    Column("params", BigInteger),
    Column("mult_adds", BigInteger),
    Column("peak_memory", BigInteger),
    Column("model_bytes", BigInteger),
    Column("latency_ms", Double),  # on the first device
    Column("latencies", Text),  # JSON
    Column("accuracy", Double),
    Column("balanced_accuracy", Double),
    Column("macro_f1", Double),
    Column("worst_recall", Double),
    Column("single_precision", Double),
    Column("train_seconds", Double),
    Column("inherited", Double),
    Column("learning_rate", Double),  # where it is not its recipe's
    Column("cost", Double),  # by the search's own objective, as the next three
    Column("also", Double),
    Column("value", Double),
    Column("reward", Double),
    Column("place", Integer),  # see nas.store.leads
    Column("remark", Text),  # why it failed or was refused
    Column("edition", String, nullable=False),  # of the records that its trial was written as
    ForeignKeyConstraint(["run", "number"], ["trial.run", "trial.number"]),
    Index(None, "run", "finished", unique=True),
    Index(None, "run", "state", "number"),
    Index(None, "run", "place"),
    Index(None, "run", "repeats"),
)

TALLY = Table(
    "tally",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("state", String, primary_key=True),
    Column("role", String, primary_key=True),
    Column("rung", Integer, primary_key=True, autoincrement=False),  # -1 where there are none
    Column("trials", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("compute_seconds", Double, nullable=False),
    Column("trained", Integer, nullable=False),
    Column("train_seconds", Double, nullable=False),
    Column("networks", Integer, nullable=False),
)

MODEL = Table(
    "model",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("removed", Text),  # why its weights are not there any more
    Column("pinned", Boolean, nullable=False, server_default=false()),  # they stay whatever else goes
    ForeignKeyConstraint(["run", "number"], ["trial.run", "trial.number"]),
    UniqueConstraint("run", "number"),
    Index(None, "created_at", "number", "id"),
)

EVENT = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("by", String),  # whose token did it
    Index(None, "run", "id"),
)

AGENT = Table(
    "agent",
    metadata,
    Column("name", String, primary_key=True),
    Column("fingerprint", Text, nullable=False),  # JSON: dict[str, str]
    Column("instance", String, nullable=False),  # the process that has the name now
    Column("registered_at", Double, nullable=False),
    Column("heard_at", Double, nullable=False),
)

ERRAND = Table(
    "errand",
    metadata,
    Column("serial", Integer, primary_key=True),  # the order in which they are served
    Column("id", String, nullable=False, unique=True),
    Column("agent", ForeignKey("agent.name"), nullable=False),
    Column("parcel", LargeBinary),  # until it is answered
    Column("taken_by", String),  # the instance that works on it
    Column("takings", Integer, nullable=False),  # how many instances have begun
    Column("answer", Text),  # JSON: Answer
    Column("asked_at", Double, nullable=False),  # when somebody last wanted to know
    Index(None, "agent", "serial"),
)

YARDSTICK = Table(
    "yardstick",
    metadata,
    Column("digest", String, primary_key=True),  # of the way in which it ran
    Column("device", String, nullable=False),
    Column("way", Text, nullable=False),  # JSON: dict[str, str]
    Column("days", Text, nullable=False),  # JSON: each day with its best
)

TOKEN = Table(
    "token",
    metadata,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False),  # SHA-256 of its secret
    Column("owner", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("session", String),  # the token that its owner signed in with, of a browser's session
    Index(None, "session"),
)

QUOTA = Table(
    "quota",
    metadata,
    Column("owner", String, primary_key=True),
    Column("running_trials", Integer),  # null here and below: as much as there is
    Column("compute_hours", Double),
    Column("disk_bytes", BigInteger),
    Column("deleted_seconds", Double, nullable=False, server_default="0"),  # what trials of deleted runs have taken
)
