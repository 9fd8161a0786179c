// Expands a template for a number of times with Microsoft's engine, parsed once; prints CPU seconds and the card.
process.env.TZ = "UTC";
console.warn = () => {};
const { Template } = require(require.resolve("adaptivecards-templating", { paths: [process.argv[2]] }));
const { template, data } = JSON.parse(require("node:fs").readFileSync(process.argv[3], "utf8"));
const count = Number(process.argv[4]);
const prepared = new Template(template);
for (let warm = 0; warm < 200; warm++) prepared.expand({ $root: data });
const start = process.cpuUsage();
let card;
for (let round = 0; round < count; round++) card = prepared.expand({ $root: data });
const used = process.cpuUsage(start);
process.stdout.write(JSON.stringify({ seconds: (used.user + used.system) / 1e6, card }));
