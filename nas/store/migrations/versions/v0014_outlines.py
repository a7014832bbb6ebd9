"""What is shown of a run is kept in rows: columns of each trial, tallies, and which networks lead."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from nas.store.leads import Leaders
from nas.store.migrations.rewriting import parts, undamaged

revision = "0014"
down_revision = "0013"

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "worst_recall")
MEASURED = ("params", "mult_adds", "peak_memory", "model_bytes", "train_seconds", "inherited")
JOB = ("rung", "baseline", "repeats", "promotes")
OWN = ("state", "finished", "started_at", "ended_at", "compute_seconds")
FIGURES = ("latency_ms", "single_precision", "learning_rate", "cost", "also", "value", "reward")
SUMS = ("trials", "seconds", "compute_seconds", "trained", "train_seconds", "networks")
LONGEST_REMARK = 200
RUN = sa.table("run", *map(sa.column, ("id", "spec", "kind", "expected_gain")))
TRIAL = sa.table("trial", *map(sa.column, ("run", "number", "job", "measurement", "error", *OWN)))
OUTLINE = sa.table(
    "outline",
    *map(sa.column, ("run", "number", "role", "latencies", "place", "remark", "edition", *OWN, *JOB, *METRICS)),
    *map(sa.column, (*MEASURED, *FIGURES)),
)
TALLY = sa.table("tally", *map(sa.column, ("run", "state", "role", "rung", *SUMS)))

Json = dict[str, Any]


def upgrade() -> None:
    _tables()
    for run in op.get_bind().execute(sa.select(RUN.c.id, RUN.c.kind, RUN.c.spec)).all():
        with undamaged(RUN, (run.id,)):
            spec = json.loads(run.spec)
        _summarise(run.id, spec.get("objective") if run.kind == "search" else None)
        if run.kind == "search":
            _place(run.id)


def _tables() -> None:
    op.add_column("run", sa.Column("expected_gain", sa.Double()))
    op.create_index("ix_trial_ended_at", "trial", ["ended_at"])
    op.create_index("ix_model_created_at_number_id", "model", ["created_at", "number", "id"])
    kinds: dict[Any, tuple[str, ...]] = {
        sa.String: ("baseline",),
        sa.Text: ("latencies", "remark"),
        sa.Integer: ("finished", "rung", "repeats", "promotes", "place"),
        sa.BigInteger: ("params", "mult_adds", "peak_memory", "model_bytes"),
        sa.Double: ("ended_at", "compute_seconds", "train_seconds", "inherited", *METRICS, *FIGURES),
    }
    op.create_table(
        "outline",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("edition", sa.String(), nullable=False),
        *(sa.Column(name, kind()) for kind, names in kinds.items() for name in names),
        sa.PrimaryKeyConstraint("run", "number", name="pk_outline"),
        sa.ForeignKeyConstraint(["run", "number"], ["trial.run", "trial.number"], name="fk_outline_run_number_trial"),
    )
    op.create_index("ix_outline_run_finished", "outline", ["run", "finished"], unique=True)
    op.create_index("ix_outline_run_state_number", "outline", ["run", "state", "number"])
    op.create_index("ix_outline_run_place", "outline", ["run", "place"])
    op.create_index("ix_outline_run_repeats", "outline", ["run", "repeats"])
    op.create_table(
        "tally",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("rung", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trials", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("compute_seconds", sa.Double(), nullable=False),
        sa.Column("trained", sa.Integer(), nullable=False),
        sa.Column("train_seconds", sa.Double(), nullable=False),
        sa.Column("networks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run", "state", "role", "rung", name="pk_tally"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_tally_run_run"),
    )


def _summarise(run: str, objective: Json | None) -> None:
    connection, gain = op.get_bind(), None
    tallies: dict[tuple[str, str, int], Json] = {}
    batch: list[Json] = []
    columns = ["run", "number", "job", "measurement", "error", *OWN]
    for row in parts(TRIAL, ["run", "number"], columns, TRIAL.c.run == run):
        with undamaged(TRIAL, (run, row.number)):
            job = json.loads(row.job)
            outline = _outline(row, job, row.measurement and json.loads(row.measurement), objective)
        gain = gain if job.get("expected_gain") is None else job["expected_gain"]
        batch.append(outline)
        if len(batch) == 500:
            connection.execute(sa.insert(OUTLINE), batch)
            batch = []
        key = outline["state"], outline["role"], -1 if outline["rung"] is None else outline["rung"]
        tally, took = tallies.setdefault(key, dict.fromkeys(SUMS, 0)), outline["train_seconds"] or 0.0
        networks = int(outline["repeats"] is None and outline["reward"] is not None)
        more = (1, (row.ended_at or row.started_at) - row.started_at, row.compute_seconds or 0.0, took > 0, took)
        for name, amount in zip(SUMS, (*more, networks)):
            tally[name] += amount
    if batch:
        connection.execute(sa.insert(OUTLINE), batch)
    for (state, role, rung), sums in tallies.items():
        connection.execute(sa.insert(TALLY).values(run=run, state=state, role=role, rung=rung, **sums))
    connection.execute(sa.update(RUN).where(RUN.c.id == run).values(expected_gain=gain))


def _outline(row: Any, job: Json, measurement: Json | None, objective: Json | None) -> Json:
    baseline = job.get("baseline") or ("parent" if job.get("whole") and not job.get("choices") else None)
    role = "supernet" if job.get("children") else "baseline" if baseline else "own"
    if role == "own" and job.get("whole") and job.get("repeats") is None and job.get("promotes") is None:
        role = "parent"
    role = role if job.get("measures") is None else "measured"
    values: Json = dict.fromkeys(column.name for column in OUTLINE.c)
    values |= {"run": row.run, "number": row.number, "role": role, "edition": ""}
    values |= {name: getattr(row, name) for name in OWN} | {name: job.get(name) for name in JOB}
    values["baseline"] = baseline
    values["repeats"] = job.get("measures") if job.get("repeats") is None else job["repeats"]
    remark = row.error or (measurement or {}).get("refused")
    values["remark"] = remark and remark[:LONGEST_REMARK]
    if measurement is None:
        return values
    latencies, quality = measurement.get("latencies", {}), measurement.get("quality") or {}
    values |= {name: measurement.get(name) for name in MEASURED}
    values |= {name: quality.get(name) for name in METRICS} | {"accuracy": measurement.get("accuracy")}
    taken = [latencies.get(device) for device in job["devices"]]
    pairs = [its and [its["median_ms"], its.get("error_ms")] for its in taken]
    values["latencies"] = json.dumps(pairs, separators=(",", ":"))
    values["latency_ms"] = taken[0] and taken[0]["median_ms"]
    values["single_precision"] = (measurement.get("rounding") or {}).get("float32")
    rate, usual = measurement.get("learning_rate"), (job.get("recipe") or {}).get("learning_rate")
    values["learning_rate"] = None if rate == usual else rate
    return values | (_judged(values, objective) if objective else {})


def _judged(values: Json, objective: Json) -> Json:
    value = values[objective.get("metric", "accuracy")]
    also = objective.get("also")
    cost, second = values[objective["cost"]], values[also] if also else None
    if values["accuracy"] is None or value is None or not cost or (also and second is None):
        return {}
    ratio = cost / objective["target"]
    exponent = objective["w_under"] if ratio <= 1 else objective["w_over"]
    absolute = objective.get("form") == "absolute"
    reward = value + exponent * abs(ratio - 1) if absolute else value * ratio**exponent
    return {"cost": cost, "also": second, "value": value, "reward": reward}


def _place(run: str) -> None:
    """In the order in which they ended: baselines and networks that were trained or measured again lead
    always."""
    connection = op.get_bind()
    columns = ["run", "finished", "number", "role", "rung", "repeats", "cost", "also", "value", "reward"]
    back = sa.and_(OUTLINE.c.repeats.is_not(None), OUTLINE.c.params.is_not(None))
    which = sa.and_(OUTLINE.c.run == run, OUTLINE.c.finished.is_not(None), OUTLINE.c.reward.is_not(None) | back)
    repeated = set(connection.scalars(sa.select(OUTLINE.c.repeats).where(which, back)))
    leaders, counts, places = dict[Any, Leaders](), dict[Any, int](), dict[int, int]()
    for row in parts(OUTLINE, ["run", "finished"], columns, which):
        count = counts[row.rung] = counts.get(row.rung, 0) + (row.repeats is None)
        if row.repeats is not None or row.number in repeated or row.role in ("baseline", "supernet"):
            places[row.number] = count or 1
            continue
        own = leaders.setdefault(row.rung, Leaders())
        point = (row.cost, row.value) if row.also is None else (row.cost, row.also, row.value)
        before = set(own.points)
        if own.add(row.number, row.reward, point):
            places[row.number] = count
            places |= {number: -places[number] for number in before - set(own.points)}
    for number, place in places.items():
        its = sa.and_(OUTLINE.c.run == run, OUTLINE.c.number == number)
        connection.execute(sa.update(OUTLINE).where(its).values(place=place))
