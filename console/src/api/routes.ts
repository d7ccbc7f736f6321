// The routes of docs/wiring.md that the console uses.
import type { Alert, AlertState, Event, Exercises, Explanation, Feed, MapLayer, Position, Quarantined, Replay, ReplayOrder, Rule, Score, Status, TimelineCounts } from '../model/types';
import { cursor, decodeAlert, decodeEvent, decodeExercises, decodeExplanation, decodeFeed, decodeLayer, decodeQuarantined, decodeReplay, decodeRule, decodeScore, decodeStatus, decodeTimeline, instant, items } from './decode';
import { deleteJson, getJson, postJson } from './http';

const ROOT = 'api/v1';
let picture = ROOT;
let leaving = new AbortController();

/** Where the picture comes from: the live node, or a replay. Rules, layers and reasons are the node's own either way. What is on its way of
 * the picture before is called off: a replay that was left is gone. */
export const pictureOf = (replay: string | null): void => {
  leaving.abort();
  leaving = new AbortController();
  picture = replay === null ? ROOT : `${ROOT}/replays/${encodeURIComponent(replay)}`;
};
export const streamPath = (): string => `${picture}/stream`;

const PAGE = 500;
const iso = (ms: number): string => new Date(ms).toISOString();

type Query = Record<string, string | number | undefined>;

/** One answer of the picture shown. */
const ofPicture = async (route: string, query?: Query): Promise<Record<string, unknown>> =>
  (await getJson(`${picture}/${route}`, query, leaving.signal)) as Record<string, unknown>;

/** `keptFrom`: the node keeps nothing older at hand; null when it keeps everything. */
export interface Page<T> {
  items: T[];
  whole: boolean;
  keptFrom: number | null;
}

/** Pages through a list, newest first, until `most` items or the end. `whole`: false when more exist than were fetched. */
async function pages<T>(route: string, query: Query, decode: (item: Record<string, unknown>) => T, most: number): Promise<Page<T>> {
  const found: T[] = [];
  const [from, signal] = [picture, leaving.signal]; // all pages are of one picture
  let keptFrom: number | null = null;
  let next: string | null = null;
  do {
    const body = await getJson(`${from}/${route}`, { ...query, limit: Math.min(PAGE, most - found.length), cursor: next ?? undefined }, signal);
    found.push(...items(body).map(decode));
    next = cursor(body);
    keptFrom = instant((body as Record<string, unknown>).complete_from);
  } while (next !== null && found.length < most);
  return { items: found, whole: next === null, keptFrom };
}

export const getStatus = async (): Promise<Status> => decodeStatus(await ofPicture('status'));

export const getLiveStatus = async (): Promise<Status> => decodeStatus((await getJson(`${ROOT}/status`)) as Record<string, unknown>);

export const getAlerts = (most: number, at?: number, state?: AlertState) =>
  pages<Alert>('alerts', { at: at === undefined ? undefined : iso(at), state }, decodeAlert, most);

export const getAlert = async (id: string): Promise<Alert> =>
  decodeAlert(await ofPicture(`alerts/${encodeURIComponent(id)}`));

export const getEvents = (from: number | undefined, to: number | undefined, most: number) =>
  pages<Event>('events', { from: from === undefined ? undefined : iso(from), to: to === undefined ? undefined : iso(to) }, decodeEvent, most);

export const getTimeline = async (from: number, to: number, buckets: number): Promise<TimelineCounts> =>
  decodeTimeline(await ofPicture('timeline', { from: iso(from), to: iso(to), buckets }));

export const getFeeds = async (): Promise<Feed[]> => items(await ofPicture('feeds')).map(decodeFeed);

export const getRules = async (): Promise<Rule[]> => items(await getJson(`${ROOT}/rules`)).map(decodeRule);

/** Which clauses held when an alert was raised, with what was known then. */
export const getAlertExplained = async (id: string): Promise<Explanation> =>
  decodeExplanation((await getJson(`${ROOT}/alerts/${encodeURIComponent(id)}/explain`)) as Record<string, unknown>);

export interface Question {
  rule: string;
  near: Position;
  at: number;
  within: string;
  withLate: boolean;
}

/** Why a rule rang near a place up to a moment, or why it did not. */
export const getRuleExplained = async (asked: Question): Promise<Explanation> => {
  const query = { near: `${asked.near.lon.toFixed(6)},${asked.near.lat.toFixed(6)}`, at: iso(asked.at), within: asked.within || undefined, with_late: String(asked.withLate) };
  return decodeExplanation((await getJson(`${ROOT}/rules/${encodeURIComponent(asked.rule)}/explain`, query)) as Record<string, unknown>);
};

export const getLayers = async (): Promise<MapLayer[]> => items(await getJson(`${ROOT}/layers`)).map(decodeLayer);

export const getLayer = async (name: string): Promise<GeoJSON.FeatureCollection> =>
  (await getJson(`${ROOT}/layers/${encodeURIComponent(name)}`)) as GeoJSON.FeatureCollection;

export const getQuarantine = async (feed?: string): Promise<Quarantined[]> => items(await getJson(`${ROOT}/quarantine`, { feed })).map(decodeQuarantined);

export const getQuarantined = async (id: string): Promise<Quarantined> =>
  decodeQuarantined((await getJson(`${ROOT}/quarantine/${encodeURIComponent(id)}`)) as Record<string, unknown>);

export const retryQuarantined = (id: string): Promise<unknown> => postJson(`${ROOT}/quarantine/${encodeURIComponent(id)}/retry`, {});

export interface Transition {
  to: AlertState;
  by: string;
  note?: string;
  owner?: string;
  revision?: number;
}

export const postTransition = async (id: string, body: Transition): Promise<Alert> =>
  decodeAlert((await postJson(`${ROOT}/alerts/${encodeURIComponent(id)}/transitions`, body)) as Record<string, unknown>);

const replayBody = (body: unknown): Replay => decodeReplay(body as Record<string, unknown>);

export const beginReplay = async (wish: { from: number; to: number; at?: number; rate?: number; by?: ReplayOrder }): Promise<Replay> =>
  replayBody(
    await postJson(`${ROOT}/replays`, {
      from: iso(wish.from),
      to: iso(wish.to),
      ...(wish.at === undefined ? {} : { at: iso(wish.at) }),
      ...(wish.rate === undefined ? {} : { speed: wish.rate }),
      ...(wish.by === undefined ? {} : { by: wish.by }),
    }),
  );

export interface ReplayChange {
  at?: number;
  rate?: number;
  by?: ReplayOrder;
  playing?: boolean;
}

export const steerReplay = async (id: string, change: ReplayChange): Promise<Replay> => {
  const { at, rate, ...rest } = change;
  const body = { ...rest, ...(at === undefined ? {} : { at: iso(at) }), ...(rate === undefined ? {} : { speed: rate }) };
  return replayBody(await postJson(`${ROOT}/replays/${encodeURIComponent(id)}`, body));
};

export const endReplay = (id: string): Promise<void> => deleteJson(`${ROOT}/replays/${encodeURIComponent(id)}`);

export const getExercises = async (): Promise<Exercises> => decodeExercises((await getJson(`${ROOT}/exercises`)) as Record<string, unknown>);

export const startExercise = (name: string, by: string): Promise<unknown> => postJson(`${ROOT}/exercises/${encodeURIComponent(name)}/start`, { by });

export const stopExercise = (by: string): Promise<unknown> => postJson(`${ROOT}/exercises/stop`, { by });

export const getScore = async (run: string): Promise<Score> =>
  decodeScore((await getJson(`${ROOT}/exercises/runs/${encodeURIComponent(run)}/score`)) as Record<string, unknown>);
