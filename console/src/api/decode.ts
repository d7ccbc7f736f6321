// From the API's JSON to the model. Tolerant of fields that are absent, strict about nothing: the screen must come up at 3 a.m.
import { span } from '../i18n';
import type {
  Alert,
  Child,
  Clause,
  ClockFrame,
  Event,
  Evidence,
  ExerciseRun,
  Exercises,
  Explanation,
  Feed,
  HistoryEntry,
  MapLayer,
  Position,
  Quarantined,
  Rank,
  Replay,
  Rule,
  Score,
  Status,
  TimelineCounts,
} from '../model/types';

type Json = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === 'string' ? value : value == null ? '' : String(value));
const textOrNull = (value: unknown): string | null => (value == null || value === '' ? null : text(value));
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const numberOrNull = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);
const object = (value: unknown): Json => (value && typeof value === 'object' ? (value as Json) : {});

/** ISO 8601 (or null) -> milliseconds. */
export function instant(value: unknown): number | null {
  if (typeof value !== 'string') return null;
  const parsed = Date.parse(value);
  return Number.isNaN(parsed) ? null : parsed;
}

function position(item: Json): Position | null {
  const lon = numberOrNull(item.lon);
  const lat = numberOrNull(item.lat);
  return lon === null || lat === null ? null : { lon, lat };
}

function rank(value: unknown): Rank {
  const found = number(value);
  return found === 1 || found === 2 || found === 3 ? found : 4;
}

export function decodeEvent(item: Json): Event {
  return {
    seq: number(item.seq),
    id: text(item.id),
    feed: text(item.feed),
    kind: text(item.kind),
    source: textOrNull(item.source),
    eventTime: instant(item.event_time) ?? 0,
    ingestTime: instant(item.ingest_time) ?? instant(item.event_time) ?? 0,
    position: position(item),
    area: (item.area as GeoJSON.Geometry | null) ?? null,
    validUntil: instant(item.valid_until),
    value: numberOrNull(item.value),
    unit: textOrNull(item.unit),
    severity: number(item.severity),
    action: item.action === 'update' || item.action === 'cancel' ? item.action : 'report',
    refersTo: textOrNull(item.refers_to),
    text: textOrNull(item.text),
    attrs: object(item.attrs),
    exercise: item.exercise === true,
  };
}

function decodeEvidence(item: Json): Evidence {
  return {
    seq: number(item.seq),
    feed: text(item.feed),
    id: text(item.id),
    kind: text(item.kind),
    source: textOrNull(item.source),
    eventTime: instant(item.event_time) ?? 0,
    ingestTime: instant(item.ingest_time) ?? 0,
    position: position(item),
    value: numberOrNull(item.value),
    unit: textOrNull(item.unit),
    text: textOrNull(item.text),
    role: text(item.role),
    distanceM: numberOrNull(item.distance_m),
    gapS: numberOrNull(item.gap_s),
  };
}

function decodeHistory(item: Json): HistoryEntry {
  return { at: instant(item.at) ?? 0, from: text(item.from), to: text(item.to), by: text(item.by), note: text(item.note) };
}

function decodeChild(item: Json): Child {
  return {
    id: text(item.id),
    rule: text(item.rule),
    headline: text(item.headline) || text(item.rule),
    rank: rank(item.rank),
    state: (text(item.state) || 'open') as Child['state'],
    opened: instant(item.opened) ?? 0,
  };
}

export function decodeAlert(item: Json): Alert {
  const opened = instant(item.opened) ?? 0;
  return {
    id: text(item.id),
    rule: text(item.rule),
    ruleVersion: text(item.rule_version),
    title: text(item.title) || text(item.rule),
    why: text(item.why),
    headline: text(item.headline) || text(item.title),
    instruction: text(item.instruction),
    severity: (text(item.severity) || 'unknown') as Alert['severity'],
    rank: rank(item.rank),
    urgency: text(item.urgency),
    certainty: text(item.certainty),
    state: (text(item.state) || 'open') as Alert['state'],
    owner: textOrNull(item.owner),
    status: (text(item.status) || 'raised') as Alert['status'],
    opened,
    knownAt: instant(item.known_at) ?? opened,
    updated: instant(item.updated) ?? opened,
    position: position(item),
    radiusM: numberOrNull(item.radius_m),
    place: text(item.place),
    count: number(item.count) || 1,
    sources: number(item.sources),
    revision: number(item.revision),
    seq: number(item.seq),
    late: item.late === true,
    exercise: item.exercise === true,
    run: textOrNull(item.run),
    reasons: Array.isArray(item.reasons) ? item.reasons.map(text) : [],
    closed: instant(item.closed),
    parent: textOrNull(item.parent),
    folded: item.folded === 'fold' || item.folded === 'budget' ? item.folded : '',
    overBudget: number(item.over_budget),
    budget: item.budget ? { alerts: number(object(item.budget).alerts), perMs: number(object(item.budget).per_s) * 1000 } : null,
    context: Array.isArray(item.context) ? list(item.context).map(decodeEvidence) : null,
    children: Array.isArray(item.children) ? list(item.children).map(decodeChild) : null,
    evidence: Array.isArray(item.evidence) ? list(item.evidence).map(decodeEvidence) : null,
    history: Array.isArray(item.history) ? list(item.history).map(decodeHistory) : null,
  };
}

export function decodeFeed(item: Json): Feed {
  return {
    name: text(item.name),
    title: text(item.title) || text(item.name),
    purpose: text(item.purpose),
    owner: text(item.owner),
    retention: typeof item.retention === 'number' ? span(item.retention / 1000) : text(item.retention),
    sensitivity: text(item.sensitivity),
    transport: text(item.transport),
    format: text(item.format),
    state: (text(item.state) || 'waiting') as Feed['state'],
    received: number(item.received),
    accepted: number(item.accepted),
    duplicates: number(item.duplicates),
    conflicts: number(item.conflicts),
    quarantined: number(item.quarantined),
    perMin: number(item.per_min),
    lastEventTime: instant(item.last_event_time),
    lastReceived: instant(item.last_received),
    expectedEveryS: numberOrNull(item.expected_every_s),
    error: textOrNull(item.error),
    exerciseShiftS: numberOrNull(item.exercise_shift_s),
    licence: text(item.licence),
    kinds: Array.isArray(item.kinds) ? item.kinds.map(text) : [],
  };
}

export function decodeRule(item: Json): Rule {
  return {
    name: text(item.name),
    title: text(item.title) || text(item.name),
    why: text(item.why),
    words: text(item.words),
    operator: text(item.operator),
    version: text(item.version),
    severity: (text(item.severity) || 'unknown') as Rule['severity'],
    rank: rank(item.rank),
    text: text(item.text),
    file: text(item.file),
    line: number(item.line),
    alerts: number(item.alerts),
  };
}

export function decodeLayer(item: Json): MapLayer {
  const kind = item.kind === 'polygons' || item.kind === 'tiles' ? item.kind : 'points';
  return { name: text(item.name), title: text(item.title) || text(item.name), kind, licence: text(item.licence), nameField: text(item.name_field) || 'name' };
}

export function decodeQuarantined(item: Json): Quarantined {
  return {
    id: text(item.id),
    feed: text(item.feed),
    at: instant(item.at) ?? instant(item.received) ?? instant(item.time),
    reason: text(item.reason) || text(item.error),
    raw: textOrNull(item.raw),
    base64: item.raw_encoding === 'base64',
    state: text(item.state),
  };
}

export function decodeTimeline(item: Json): TimelineCounts {
  const rows = list(item.rows).map((row) => ({ kind: text(row.kind), counts: Array.isArray(row.counts) ? row.counts.map(number) : [] }));
  return { from: instant(item.from) ?? 0, to: instant(item.to) ?? 0, stepMs: number(item.step_s) * 1000, rows };
}

export function decodeClock(item: Json): ClockFrame {
  return {
    now: instant(item.now) ?? 0,
    speed: numberOrNull(item.speed) ?? 1,
    perMin: number(item.per_min),
    total: number(item.total),
    config: number(item.config),
    running: textOrNull(item.running),
    troubles: texts(item.troubles),
  };
}

export function decodeReplay(item: Json): Replay {
  return {
    id: text(item.id),
    from: instant(item.from) ?? 0,
    to: instant(item.to) ?? 0,
    at: instant(item.at) ?? 0,
    rate: number(item.speed),
    by: item.by === 'event' ? 'event' : 'known',
    playing: item.playing === true,
    ended: item.ended === true,
    loading: item.loading === true,
    stage: number(item.stage),
    notes: Array.isArray(item.notes) ? item.notes.map(text) : [],
  };
}

function decodeRun(item: Json): ExerciseRun {
  return {
    run: text(item.run),
    name: text(item.name),
    title: text(item.title),
    by: text(item.by),
    began: instant(item.began) ?? 0,
    ends: instant(item.ends) ?? 0,
    ended: instant(item.ended),
    why: text(item.why),
  };
}

export function decodeExercises(item: Json): Exercises {
  const scenario = (one: Json) => ({
    name: text(one.name),
    title: text(one.title),
    purpose: text(one.purpose),
    events: number(one.events),
    expected: number(one.expected),
    runsMs: number(one.runs_s) * 1000,
  });
  return { items: list(item.items).map(scenario), running: item.running ? decodeRun(object(item.running)) : null, runs: list(item.runs).map(decodeRun) };
}

const ms = (seconds: unknown): number | null => (typeof seconds === 'number' ? seconds * 1000 : null);

export function decodeScore(item: Json): Score {
  const summary = object(item.summary);
  return {
    run: text(item.run),
    title: text(item.title),
    began: instant(item.began) ?? 0,
    detections: list(item.detections).map((one) => ({
      name: text(one.name),
      rule: text(one.rule),
      verdict: one.verdict === 'detected' || one.verdict === 'late' ? one.verdict : 'missed',
      alertMs: ms(one.alert_s),
      alertTargetMs: number(one.alert_target_s) * 1000,
      ackMs: ms(one.acknowledged_s),
      ackTargetMs: ms(one.acknowledged_target_s),
      ackInTime: typeof one.acknowledged_in_time === 'boolean' ? one.acknowledged_in_time : null,
      by: textOrNull(one.by),
    })),
    wrong: list(item.false).map((one) => ({ headline: text(one.headline), rule: text(one.rule), atMs: number(one.at_s) * 1000 })),
    summary: {
      expected: number(summary.expected),
      detected: number(summary.detected),
      late: number(summary.late),
      missed: number(summary.missed),
      false: number(summary.false),
    },
  };
}

export function decodeStatus(item: Json): Status {
  const city = object(item.city);
  const clock = object(item.clock);
  const exercise = item.exercise ? object(item.exercise) : null;
  const centre = Array.isArray(city.centre) ? city.centre.map(number) : [0, 0];
  return {
    city: {
      name: text(city.name),
      title: text(city.title) || text(city.name),
      timezone: text(city.timezone) || 'UTC',
      centre: [centre[0] ?? 0, centre[1] ?? 0],
      zoom: numberOrNull(city.zoom) ?? 10,
    },
    running: item.running ? decodeRun(object(item.running)) : null,
    mode: item.mode === 'exercise' || item.mode === 'replay' ? item.mode : 'live',
    exercise: exercise && { title: text(exercise.title), start: instant(exercise.start) ?? 0, end: instant(exercise.end) ?? 0 },
    clock: { now: instant(clock.now) ?? 0, speed: numberOrNull(clock.speed) ?? 1 },
    access: { mode: text(object(item.access).mode), words: text(object(item.access).words) },
    events: { total: number(object(item.events).total), perMin: number(object(item.events).per_min) },
    alerts: { open: number(object(item.alerts).open), unacknowledged: number(object(item.alerts).unacknowledged) },
    feeds: { total: number(object(item.feeds).total), stale: number(object(item.feeds).stale) },
    troubles: texts(item.troubles),
    version: text(item.version),
    config: number(item.config),
  };
}

export const items = (body: unknown): Json[] => list(object(body).items);
export const cursor = (body: unknown): string | null => textOrNull(object(body).next);

const STATES = ['held', 'failed', 'unknown'] as const;
const VERDICTS = ['rang', 'joined', 'retracted', 'unheard', 'silent', 'unknown'] as const;

function decodeClause(item: Json): Clause {
  return {
    clause: text(item.clause),
    state: STATES.find((one) => one === item.state) ?? 'unknown',
    words: text(item.words),
    found: text(item.found),
    needed: text(item.needed),
    short: numberOrNull(item.short),
    unit: text(item.unit),
  };
}

export function decodeExplanation(item: Json): Explanation {
  return {
    rule: text(item.rule),
    title: text(item.title) || text(item.rule),
    verdict: VERDICTS.find((one) => one === item.verdict) ?? 'unknown',
    summary: text(item.summary),
    known: item.known === 'now' ? 'now' : 'then',
    clauses: list(item.clauses).map(decodeClause),
    looks: list(item.looks).map((look) => ({
      time: instant(look.time) ?? 0,
      holds: look.holds === true,
      words: text(look.words),
      distanceM: numberOrNull(look.distance_m),
    })),
    alerts: list(item.alerts).map((one) => ({ id: text(one.id), headline: text(one.headline), status: text(one.status), opened: instant(one.opened) ?? 0 })),
    notes: Array.isArray(item.notes) ? item.notes.map(text) : [],
    read: number(item.read),
  };
}
