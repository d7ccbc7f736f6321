// Runs the function node of the Node-RED peer without Node-RED: rules and events as JSON on standard input, answers on standard output.
const fs = require("fs");
const { rules, events } = JSON.parse(fs.readFileSync(0, "utf8"));
const code = fs.readFileSync(process.argv[2], "utf8");
const kept = new Map();
const context = { get: (key) => kept.get(key), set: (key, value) => kept.set(key, value) };
const node = new Function("RULES", "context", "msg", code);
for (const payload of events) node(rules, context, { payload });
process.stdout.write(node(rules, context, { payload: { end: 0, last: true } }).payload);
