// The nouns of the screen, decoded from the API's JSON: instants are milliseconds since 1970 (UTC), distances metres, spans seconds.

export type Rank = 1 | 2 | 3 | 4;
export type AlertState = 'open' | 'acknowledged' | 'in_progress' | 'on_hold' | 'resolved' | 'retracted';
export type Severity = 'extreme' | 'severe' | 'moderate' | 'minor' | 'unknown';

export interface Position {
  lon: number;
  lat: number;
}

export interface Event {
  seq: number;
  id: string;
  feed: string;
  kind: string;
  source: string | null;
  eventTime: number;
  ingestTime: number;
  position: Position | null;
  area: GeoJSON.Geometry | null;
  validUntil: number | null;
  value: number | null;
  unit: string | null;
  severity: number;
  action: 'report' | 'update' | 'cancel';
  refersTo: string | null;
  text: string | null;
  attrs: Record<string, unknown>;
  /** Injected by an exercise, not real. */
  exercise: boolean;
}

export interface Evidence {
  seq: number;
  feed: string;
  id: string;
  kind: string;
  source: string | null;
  eventTime: number;
  ingestTime: number;
  position: Position | null;
  value: number | null;
  unit: string | null;
  text: string | null;
  role: string;
  distanceM: number | null;
  gapS: number | null;
}

export interface HistoryEntry {
  at: number;
  from: string;
  to: string;
  by: string;
  note: string;
}

/** What the list of an alert's children says of one. */
export type Child = Pick<Alert, 'id' | 'rule' | 'headline' | 'rank' | 'state' | 'opened'>;

export interface Alert {
  id: string;
  rule: string;
  ruleVersion: string;
  title: string;
  why: string;
  headline: string;
  instruction: string;
  severity: Severity;
  rank: Rank;
  urgency: string;
  certainty: string;
  state: AlertState;
  owner: string | null;
  status: 'raised' | 'amended' | 'retracted';
  opened: number;
  knownAt: number;
  updated: number;
  position: Position | null;
  radiusM: number | null;
  place: string;
  count: number;
  sources: number;
  revision: number;
  seq: number;
  late: boolean;
  exercise: boolean;
  /** The exercise run it belongs to; null for a real alert. */
  run: string | null;
  reasons: string[];
  /** When its own rule closed it. */
  closed: number | null;
  /** The alert it is shown under for as long as that one is open. */
  parent: string | null;
  folded: '' | 'fold' | 'budget';
  /** Its number beyond the rule's budget, 0 within it. */
  overBudget: number;
  budget: { alerts: number; perMs: number } | null;
  /** Only in the single view. */
  evidence: Evidence[] | null;
  context: Evidence[] | null;
  children: Child[] | null;
  history: HistoryEntry[] | null;
}

export type FeedState = 'ok' | 'stale' | 'failing' | 'ended' | 'waiting';

export interface Feed {
  name: string;
  title: string;
  purpose: string;
  owner: string;
  retention: string;
  sensitivity: string;
  transport: string;
  format: string;
  state: FeedState;
  received: number;
  accepted: number;
  duplicates: number;
  conflicts: number;
  quarantined: number;
  perMin: number;
  lastEventTime: number | null;
  lastReceived: number | null;
  expectedEveryS: number | null;
  error: string | null;
  exerciseShiftS: number | null;
  licence: string;
  kinds: string[];
}

export interface Rule {
  name: string;
  title: string;
  why: string;
  words: string;
  operator: string;
  version: string;
  severity: Severity;
  rank: Rank;
  text: string;
  file: string;
  line: number;
  alerts: number;
}

export interface MapLayer {
  name: string;
  title: string;
  kind: 'points' | 'polygons' | 'tiles';
  licence: string;
  nameField: string;
}

export interface Quarantined {
  id: string;
  feed: string;
  at: number | null;
  reason: string;
  /** A readable piece of the raw bytes; null when the list does not carry it or it must not be shown. */
  raw: string | null;
  base64: boolean;
  state: string;
}

export interface TimelineRow {
  kind: string;
  counts: number[];
}

export interface TimelineCounts {
  from: number;
  to: number;
  stepMs: number;
  rows: TimelineRow[];
}

export interface ClockFrame {
  now: number;
  speed: number;
  perMin: number;
  total: number;
  /** Changes when other rules, feeds or layers are in force. */
  config: number;
  /** The exercise run that goes on; another value: ask for the status again. */
  running: string | null;
  /** What keeps the live picture from being whole, one sentence each. */
  troubles: string[];
}

export type ReplayOrder = 'known' | 'event';

/** A stretch of the past that the node plays. */
export interface Replay {
  id: string;
  from: number;
  to: number;
  at: number;
  /** Times real time, while it plays. */
  rate: number;
  by: ReplayOrder;
  playing: boolean;
  ended: boolean;
  loading: boolean;
  /** Another number: it went to another moment. */
  stage: number;
  notes: string[];
}

/** An exercise that goes on beside real life, or did. */
export interface ExerciseRun {
  run: string;
  name: string;
  title: string;
  by: string;
  began: number;
  ends: number;
  ended: number | null;
  why: string;
}

export interface Scenario {
  name: string;
  title: string;
  purpose: string;
  events: number;
  expected: number;
  runsMs: number;
}

export interface Exercises {
  items: Scenario[];
  running: ExerciseRun | null;
  runs: ExerciseRun[];
}

export interface Detection {
  name: string;
  rule: string;
  verdict: 'detected' | 'late' | 'missed';
  alertMs: number | null;
  alertTargetMs: number;
  ackMs: number | null;
  ackTargetMs: number | null;
  ackInTime: boolean | null;
  by: string | null;
}

export interface Score {
  run: string;
  title: string;
  began: number;
  detections: Detection[];
  wrong: { headline: string; rule: string; atMs: number }[];
  summary: { expected: number; detected: number; late: number; missed: number; false: number };
}

export interface Status {
  /** An exercise that goes on beside real life. */
  running: ExerciseRun | null;
  city: { name: string; title: string; timezone: string; centre: [number, number]; zoom: number };
  mode: 'live' | 'exercise' | 'replay';
  exercise: { title: string; start: number; end: number } | null;
  clock: { now: number; speed: number };
  access: { mode: string; words: string };
  events: { total: number; perMin: number };
  alerts: { open: number; unacknowledged: number };
  feeds: { total: number; stale: number };
  troubles: string[];
  version: string;
  config: number;
}

export type ClauseState = 'held' | 'failed' | 'unknown';

/** One clause of a rule: what was found beside what was needed. `short` is how far from the threshold, in `unit`. */
export interface Clause {
  clause: string;
  state: ClauseState;
  words: string;
  found: string;
  needed: string;
  short: number | null;
  unit: string;
}

export interface Look {
  time: number;
  holds: boolean;
  words: string;
  distanceM: number | null;
}

export type Verdict = 'rang' | 'joined' | 'retracted' | 'unheard' | 'silent' | 'unknown';

/** Why a rule rang, or did not, near a place and time. */
export interface Explanation {
  rule: string;
  title: string;
  verdict: Verdict;
  summary: string;
  known: 'then' | 'now';
  clauses: Clause[];
  looks: Look[];
  alerts: { id: string; headline: string; status: string; opened: number }[];
  notes: string[];
  read: number;
}
