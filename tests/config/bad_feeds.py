"""Bad feed files: (what is wrong, old text, new text, messages). An edit of BASE; the messages are exact and complete."""

from __future__ import annotations

BASE = """\
feed: river.level
title: River gauges
purpose: Warn of floods
owner: Water department
retention: 5 years
sensitivity: public
transport:
  webhook: {max_body: 1 MB}
format:
  json: {records: stations}
mapping:
  id: number
  source: station
  kind: {constant: water.level}
  event_time: {from: measured, formats: [epoch_ms]}
  value: {from: level, unit: cm}
attrs:
  depth: {from: depth, as: number, unit: m}
"""

CASES: list[tuple[str, str, str, list[str]]] = [
    (
        "no purpose",
        "purpose: Warn of floods\nowner: Water department",
        "owner: Water department",
        ["f.yaml:1: 'purpose' is missing: what the city uses it for; it is used for nothing else"],
    ),
    ("no owner", "owner: Water department\nretention: 5 years", "retention: 5 years", ["f.yaml:1: 'owner' is missing: who answers for it"]),
    (
        "no retention",
        "retention: 5 years\nsensitivity: public",
        "sensitivity: public",
        ["f.yaml:1: 'retention' is missing: how long its events are kept, as in 2 years; then they are deleted"],
    ),
    (
        "no sensitivity",
        "sensitivity: public\ntransport:",
        "transport:",
        ["f.yaml:1: 'sensitivity' is missing: who may see it: public, internal or restricted"],
    ),
    (
        "sensitivity",
        "sensitivity: public",
        "sensitivity: secret",
        ["f.yaml:6: sensitivity: unknown sensitivity 'secret'; known: internal, public, restricted"],
    ),
    (
        "retention",
        "retention: 5 years",
        "retention: forever",
        [
            "f.yaml:5: retention: 'forever' is not a span of time; write a number and one of ms, s, min, h, days, weeks, years, as in '10 min'"
        ],
    ),
    ("retention short", "retention: 5 years", "retention: 5 min", ["f.yaml:5: retention: '5 min' is too short; at least 1 h"]),
    (
        "unknown key",
        "owner: Water department",
        "owner: x\nownr: Water department",
        [
            "f.yaml:5: unknown key 'ownr'; did you mean 'owner'? known: attrs, expected_every, feed, format, lateness, licence, mapping, owner, personal, priority, purpose, retention, sensitivity, shift, skew, title, transport"
        ],
    ),
    (
        "name",
        "feed: river.level",
        "feed: River Level",
        [
            "f.yaml:1: feed: 'River Level' is not a name; names are lower-case letters, digits, '-' and '_', parted by dots, at most 64 characters"
        ],
    ),
    (
        "transport",
        "  webhook: {max_body: 1 MB}",
        "  webhok: {}",
        [
            "f.yaml:8: transport: unknown transport 'webhok'; did you mean 'webhook'? known: file_tail, http_poll, mqtt, mqtt_broker, replay, webhook"
        ],
    ),
    (
        "transport option",
        "  webhook: {max_body: 1 MB}",
        "  webhook: {maxbody: 1 MB}",
        ["f.yaml:8: transport.webhook: unknown key 'maxbody'; did you mean 'max_body'? known: max_body"],
    ),
    (
        "nothing else",
        "transport:\n  webhook: {max_body: 1 MB}\nformat:\n  json: {records: stations}\nmapping:\n  id: number\n  source: station\n  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cm}",
        "transport: webhook\nformat:\n  json: {records: stations}\nmapping:\n  id: number\n  source: station\n  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cmm}",
        ["f.yaml:15: mapping.value.unit: 'cmm' is not a UCUM unit: no unit 'cmm'; close: mm, cm, /min (column 1)"],
    ),
    (
        "transport bare",
        "transport:\n  webhook: {max_body: 1 MB}",
        "transport: mqqt",
        [
            "f.yaml:7: transport: unknown transport 'mqqt'; did you mean 'mqtt'? known: file_tail, http_poll, mqtt, mqtt_broker, replay, webhook"
        ],
    ),
    (
        "transport two",
        "  webhook: {max_body: 1 MB}",
        "  webhook: {}\n  mqtt: {}",
        [
            "f.yaml:7: transport: exactly one transport is expected, found webhook, mqtt; known: file_tail, http_poll, mqtt, mqtt_broker, replay, webhook"
        ],
    ),
    (
        "transport list",
        "transport:\n  webhook: {max_body: 1 MB}",
        "transport: [webhook]",
        [
            "f.yaml:7: transport: a list stands where one transport is expected, as in {file_tail: {...}}; known: file_tail, http_poll, mqtt, mqtt_broker, replay, webhook"
        ],
    ),
    (
        "size",
        "  webhook: {max_body: 1 MB}",
        "  webhook: {max_body: 1 mb}",
        ["f.yaml:8: transport.webhook.max_body: '1 mb' is not a size; write a number and one of B, kB, MB, GB, as in '10 MB'"],
    ),
    (
        "poll",
        "  webhook: {max_body: 1 MB}",
        "  http_poll: {url: example.org, every: 100 ms}",
        [
            "f.yaml:8: transport.http_poll.url: 'example.org' is not an address; write one that begins with http:// or https://",
            "f.yaml:8: transport.http_poll.every: '100 ms' is too short; at least 1 s",
        ],
    ),
    (
        "poll secret",
        "  webhook: {max_body: 1 MB}",
        "  http_poll: {url: 'https://u:p@example.org/x'}",
        [
            "f.yaml:8: transport.http_poll.url: an address with a password in it; keep secrets in a file of their own (username, password_file or headers)"
        ],
    ),
    ("poll missing", "  webhook: {max_body: 1 MB}", "  http_poll: {}", ["f.yaml:8: transport.http_poll: 'url' is missing: what to fetch"]),
    (
        "broker",
        "  webhook: {max_body: 1 MB}",
        "  mqtt_broker: {topics: a/b, version: 4, password: x, port: 99999}",
        [
            "f.yaml:8: transport.mqtt_broker.version: unknown MQTT version '4'; known: 3.1.1, 5",
            "f.yaml:8: transport.mqtt_broker: unknown key 'password'; did you mean 'password_file'? known: ca_file, client_id, host, in_flight, password_file, port, session, tls, topics, username, version",
            "f.yaml:8: transport.mqtt_broker.port: 99999 is out of range; 1 to 65535",
            "f.yaml:8: transport.mqtt_broker: 'host' is missing: name or address of the broker",
        ],
    ),
    (
        "tail",
        "  webhook: {max_body: 1 MB}",
        "  file_tail: {path: x, from: end, poll: fast}",
        [
            "f.yaml:8: transport.file_tail: unknown key 'from'; did you mean 'from_end'? known: from_end, max_line, path, poll",
            "f.yaml:8: transport.file_tail.poll: 'fast' is not a span of time; write a number and one of ms, s, min, h, days, weeks, years, as in '10 min'",
        ],
    ),
    (
        "format",
        "  json: {records: stations}",
        "  jsn: {}",
        ["f.yaml:10: format: unknown format 'jsn'; did you mean 'json'? known: arrow, cap, cloudevents, csv, geojson, json, ndjson"],
    ),
    (
        "format option",
        "  json: {records: stations}",
        "  json: {record: stations}",
        ["f.yaml:10: format.json: unknown key 'record'; did you mean 'records'? known: records"],
    ),
    (
        "csv delimiter",
        "  json: {records: stations}",
        "  csv: {delimiter: ';;'}",
        ["f.yaml:10: format.csv.delimiter: ';;' is not one character"],
    ),
    (
        "personal stored",
        "  webhook: {max_body: 1 MB}\nformat:\n  json: {records: stations}\nmapping:\n  id: number\n  source: station\n  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cm}",
        "  mqtt: {}\nformat:\n  json: {records: stations}\nmapping:\n  id: number\n  source: station\n  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cm}\npersonal: [caller]",
        [
            "f.yaml:7: transport: mqtt stores every message as it came, before personal fields can be dropped; use one of file_tail, http_poll, mqtt_broker, replay, webhook, or have the sender leave caller out"
        ],
    ),
    (
        "personal mapped",
        BASE,
        BASE + "personal: [station]\n",
        [
            "f.yaml:13: mapping.source: reads 'station', which is declared personal and dropped before anything is written; leave it out here"
        ],
    ),
    (
        "personal parent",
        "  source: station\n  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cm}\nattrs:\n  depth: {from: depth, as: number, unit: m}",
        "  source: {template: '{caller.name}/{station}'}\n  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cm}\nattrs:\n  depth: {from: depth, as: number, unit: m}\npersonal: caller",
        [
            "f.yaml:13: mapping.source: reads 'caller.name', which is declared personal and dropped before anything is written; leave it out here"
        ],
    ),
    (
        "event field",
        "  source: station",
        "  sorce: station",
        [
            "f.yaml:13: mapping: no event field 'sorce'; did you mean 'source'? known: action, area, event_time, id, kind, lat, lon, refers_to, severity, source, text, unit, valid_until, value. What only this feed has goes under attrs"
        ],
    ),
    (
        "attribute name",
        "  depth: {from: depth, as: number, unit: m}",
        "  depth-km: {from: depth, as: number, unit: m}",
        ["f.yaml:18: attrs: 'depth-km' is not a name for an attribute; write letters, digits and '_', as in depth_km"],
    ),
    (
        "kind missing",
        "  kind: {constant: water.level}\n  event_time: {from: measured, formats: [epoch_ms]}",
        "  event_time: {from: measured, formats: [epoch_ms]}",
        [
            "f.yaml:11: mapping: 'kind' is missing, and json records do not say it by themselves; write for example kind: {constant: fire.smoke}"
        ],
    ),
    (
        "time missing",
        "  event_time: {from: measured, formats: [epoch_ms]}\n  value: {from: level, unit: cm}",
        "  value: {from: level, unit: cm}",
        ["f.yaml:11: mapping: 'event_time' is missing, and json records do not say it by themselves; write for example event_time: time"],
    ),
    (
        "kind written",
        "  kind: {constant: water.level}",
        "  kind: {constant: Water Level}",
        [
            "f.yaml:14: mapping.kind: 'Water Level' is not a kind; kinds are small letters, digits, '-' and '_', parted by dots, as in call.fire"
        ],
    ),
    (
        "kind table",
        "  kind: {constant: water.level}",
        "  kind: {from: t, table: {a: water.level, b: Flood}}",
        ["f.yaml:14: mapping.kind: 'Flood' is not a kind; kinds are small letters, digits, '-' and '_', parted by dots, as in call.fire"],
    ),
    (
        "value without unit",
        "  value: {from: level, unit: cm}",
        "  value: level",
        [
            "f.yaml:16: mapping.value: has no unit, and a number without a unit passes no rule; write unit, as in {from: pm25, unit: ug/m3}, or unit: 1 for a plain number"
        ],
    ),
    (
        "unit",
        "  value: {from: level, unit: cm}",
        "  value: {from: level, unit: inch}",
        ["f.yaml:16: mapping.value.unit: 'inch' is not a UCUM unit: no unit 'inch'; close: [in_i] (column 1)"],
    ),
    (
        "unit twice",
        "  value: {from: level, unit: cm}",
        "  unit: u\n  value: {from: level, unit: cm}",
        ["f.yaml:16: mapping.unit: the unit is given twice, here and with mapping.value; keep one"],
    ),
    (
        "unit on source",
        "  source: station",
        "  source: {from: station, unit: m}",
        ["f.yaml:13: mapping.source: only value and attributes that are numbers have a unit"],
    ),
    (
        "unit on text attribute",
        "  depth: {from: depth, as: number, unit: m}",
        "  depth: {from: depth, unit: m}",
        ["f.yaml:18: attrs.depth: only value and attributes that are numbers have a unit; write as: number"],
    ),
    (
        "no source",
        "  event_time: {from: measured, formats: [epoch_ms]}",
        "  event_time: {formats: [epoch_ms]}",
        ["f.yaml:15: mapping.event_time: nothing says where it comes from; write from, template or constant"],
    ),
    (
        "two sources",
        "  kind: {constant: water.level}",
        "  kind: {constant: water.level, from: kind}",
        ["f.yaml:14: mapping.kind: from and constant exclude each other; keep one"],
    ),
    (
        "constant table",
        "  kind: {constant: water.level}",
        "  kind: {constant: water.level, table: {a: b}}",
        ["f.yaml:14: mapping.kind: a constant is never translated; leave table and default out"],
    ),
    (
        "template",
        "  source: station",
        "  source: {template: station}",
        ["f.yaml:13: mapping.source: the template 'station' has no {path} in it; write constant for fixed text"],
    ),
    (
        "formats",
        "  event_time: {from: measured, formats: [epoch_ms]}",
        "  event_time: {from: measured, formats: [epoch]}",
        [
            "f.yaml:15: mapping.event_time.formats[1]: 'epoch' is not a way to write times; write iso, epoch_s, epoch_ms or strptime codes, as in '%Y-%m-%d %H:%M'"
        ],
    ),
    (
        "formats on text",
        "  source: station",
        "  source: {from: station, zone: UTC}",
        ["f.yaml:13: mapping.source: formats and zone are for times"],
    ),
    (
        "zone",
        "  event_time: {from: measured, formats: [epoch_ms]}",
        "  event_time: {from: measured, zone: Los Angeles}",
        [
            "f.yaml:15: mapping.event_time.zone: unknown time zone 'Los Angeles'; did you mean 'America/Los_Angeles'? zones are those of the IANA data base, as in America/Los_Angeles or UTC"
        ],
    ),
    (
        "zone pacific",
        "  event_time: {from: measured, formats: [epoch_ms]}",
        "  event_time: {from: measured, zone: America/Los_Angelas}",
        [
            "f.yaml:15: mapping.event_time.zone: unknown time zone 'America/Los_Angelas'; did you mean 'America/Los_Angeles'? zones are those of the IANA data base, as in America/Los_Angeles or UTC"
        ],
    ),
    (
        "as",
        "  depth: {from: depth, as: number, unit: m}",
        "  depth: {from: depth, as: float, unit: m}",
        ["f.yaml:18: attrs.depth.as: unknown type 'float'; known: boolean, integer, number, string, time"],
    ),
    (
        "as on a field",
        "  source: station",
        "  source: {from: station, as: integer}",
        ["f.yaml:13: mapping.source: as is for attributes; source has a type of its own"],
    ),
    (
        "from missing",
        "  value: {from: level, unit: cm}",
        "  value: {path: level, unit: cm}",
        [
            "f.yaml:16: mapping.value: unknown key 'path'; known: as, constant, default, formats, from, table, template, unit, unit_from, zone"
        ],
    ),
    (
        "expected",
        BASE,
        BASE + "expected_every: often\n",
        [
            "f.yaml:19: expected_every: 'often' is not a span of time; write a number and one of ms, s, min, h, days, weeks, years, as in '10 min'"
        ],
    ),
    (
        "later key",
        BASE,
        BASE + "place_of: name\n",
        [
            "f.yaml:19: 'place_of' is not supported yet; this version has: attrs, expected_every, feed, format, lateness, licence, mapping, owner, personal, priority, purpose, retention, sensitivity, shift, skew, title, transport"
        ],
    ),
    ("lateness", BASE, BASE + "lateness: 2 days\n", ["f.yaml:19: lateness: '2 days' is too long; at most 1 d"]),
    ("priority", BASE, BASE + "priority: 0\n", ["f.yaml:19: priority: 0 is out of range; 1 to 9"]),
    (
        "mapping",
        "mapping:",
        "mapping: id\nother:",
        [
            "f.yaml:11: mapping: 'id' stands where a table is expected",
            "f.yaml:12: unknown key 'other'; did you mean 'owner'? known: attrs, expected_every, feed, format, lateness, licence, mapping, owner, personal, priority, purpose, retention, sensitivity, shift, skew, title, transport",
        ],
    ),
    (
        "table nothing",
        "  kind: {constant: water.level}",
        "  kind: {from: t, table: {a: }}",
        ["f.yaml:14: mapping.kind.table.a: nothing stands where a value is expected"],
    ),
]
