"""`match`: every passing event, or a state per source that turns on after `samples` in a row and off again (hysteresis).

A series is the samples of one source for the rules of one channel: the events of the channel and, where they differ, of the
channel of `until`. Samples count in event-time order: one older than the newest seen is ignored and counted (`STALE`);
equal times count in arrival order. While every rule of a series rests - off, nothing in a row - only rules whose threshold
the value reaches are looked at.
"""

from __future__ import annotations

import numpy as np

from .alerts import fire
from .cells import locate, mix
from .layout import (
    ANCHOR,
    LONG_AGO,
    NO_UNTIL,
    ONE,
    STALE,
    T_BITS,
    T_CHANNELS,
    T_FOUND,
    T_KIND,
    T_LAT,
    T_LON,
    T_MEMBER,
    T_META,
    T_SERIES,
    T_TRACK_STATES,
    T_TRACK_WORDS,
    T_TRACKS,
    TRACK_WORDS,
    TRACKED,
    WORDS,
    ZERO,
)
from .memory import kernel, part, view
from .recent import holds

ON = 1 << 30  # the bit of a state word that says the rule is on; the rest counts samples in a row


@kernel
def found_anchor(m, seq, source):
    """Makes the anchor the first and only evidence."""
    f = view(m, T_FOUND)[0]
    f.seq, f.source, f.role, f.at = seq, source, ANCHOR, -1


@kernel
def slot_of(table, key):
    """Where a key is or belongs in an open-addressing table (-1 marks a free place; the table is at most half full)."""
    mask = table.size - 1
    slot = mix(key, mask)
    while table[slot].key != key and table[slot].key >= 0:
        slot = (slot + 1) & mask
    return slot


@kernel
def refill(old, new):
    """Puts the records of a table into a larger, empty one."""
    for i in range(old.size):
        if old[i].key >= 0:
            new[slot_of(new, old[i].key)] = old[i]


@part
def track_key(source, series):
    """The key of a (source, series)."""
    return (source + 1) << 24 | series


@part
def track_of(m, source, series):
    """The state of a (source, series), made when it is not there yet."""
    states = view(m, T_TRACK_STATES)
    key = track_key(source, series)
    at = slot_of(states, key)
    t = states[at]
    if t.key < 0:
        view(m, T_META)[TRACKED] += 1
        t.key, t.last, t.words, t.active = key, LONG_AGO, -1, 0
    return at


@kernel
def left_aside(m, times, sources, values, found):
    """Which events of a batch that was just pushed may be samples that were left aside: older than the newest one of their source, and of a source that
    ever left rest, or high enough for a rule themselves. `found` gets a 1 or a 0 for each."""
    states, series = view(m, T_TRACK_STATES), view(m, T_SERIES)
    lowest = np.inf
    for i in range(series.size):
        lowest = min(lowest, series[i].lowest)
    for row in range(times.size):
        newest, high = LONG_AGO, values[row] >= lowest
        for i in range(series.size):
            t = states[slot_of(states, track_key(sources[row], i))]
            if t.key >= 0:
                newest = max(newest, t.last)
                high = high or t.words >= 0
        found[row] = ONE if high and times[row] < newest else ZERO


@part
def wake(m, at, count):
    """Gives a state its words: none are kept until a rule leaves rest for the first time."""
    t, words, meta = view(m, T_TRACK_STATES)[at], view(m, T_TRACK_WORDS), view(m, T_META)
    if t.words < 0:
        t.words = meta[TRACK_WORDS]
        meta[TRACK_WORDS] += count
        for i in range(t.words, t.words + count):
            words[i] = 0
    return t.words


@part
def after_sample(m, track, event, word, own, until):
    """The new state word of a rule after a sample of its own channel (`own`), of its `until` channel (`until`) or of both,
    and whether the rule turned on."""
    bits, words = view(m, T_BITS), view(m, T_META)[WORDS]
    if word & ON == 0 or track.off_predicate == NO_UNTIL:
        passed = own and event.value >= track.on and holds(bits, event.row, words, track.on_predicate)
        if not passed:
            return np.int64(0), False  # without `until` it lasts as long as the condition does
        if word & ON != 0:
            return word, False
        word += 1
        return (np.int64(ON), True) if word >= track.samples else (word, False)
    if not (until and event.value >= track.off and holds(bits, event.row, words, track.off_predicate)):
        return np.int64(ON), False
    word += 1
    return np.int64(0) if word - ON >= track.samples else word, False


@part
def rests(m, series, source, time, value):
    """Whether a sample changes nothing but the time of its series: the short way for events that nothing else waits for."""
    t = view(m, T_TRACK_STATES)[track_of(m, source, series)]
    if time < t.last:
        view(m, T_META)[STALE] += 1
        return True
    if t.active != 0 or value >= view(m, T_SERIES)[series].lowest:
        return False
    t.last = time
    return True


@part
def sample(m, event, series, own):
    """A sample for all rules of a series. Most end here: the series rests and the value reaches no threshold."""
    s = view(m, T_SERIES)[series]
    if own or view(m, T_MEMBER)[view(m, T_KIND)[event.row] * view(m, T_CHANNELS).size + s.channel] == 0:
        at = track_of(m, event.source, series)
        t = view(m, T_TRACK_STATES)[at]
        if event.time < t.last:
            view(m, T_META)[STALE] += 1
        else:
            t.last = event.time
            if t.active != 0 or (own and event.value >= s.lowest):
                sample_rules(m, event, series, own, at)


@kernel
def sample_rules(m, event, series, own, at):
    """A sample for the rules of a series that does not rest, or whose lowest threshold the value reaches."""
    s, t, tracks = view(m, T_SERIES)[series], view(m, T_TRACK_STATES)[at], view(m, T_TRACKS)
    resting = t.active == 0
    member = view(m, T_MEMBER)[view(m, T_KIND)[event.row] * view(m, T_CHANNELS).size + s.off_channel]
    until = s.off_channel == s.channel or member != 0
    words, first = view(m, T_TRACK_WORDS), wake(m, at, s.track_end - s.track) - s.track
    active = 0
    for j in range(s.track, s.track_end):
        track = tracks[j]
        if resting and event.value < track.on:
            break
        word, fires = after_sample(m, track, event, np.int64(words[first + j]), own, until)
        words[first + j] = word
        if word != 0:
            active += 1
        if fires:
            fire_sample(m, event, track.rule)
    t.active = active


@part
def fire_sample(m, event, rule):
    """A match whose place was not needed before it fired."""
    found_anchor(m, event.seq, event.source)
    spot = locate(view(m, T_LON)[event.row], view(m, T_LAT)[event.row])
    fire(m, rule, event.seq, event.time, event.source, spot, ONE)
