// Reads lines of JSON {template, data, host}, writes lines of JSON {value} or {throws: true}.
process.env.TZ = "UTC";
const { Template } = require("adaptivecards-templating");
const readline = require("node:readline");

function expand({ template, data, host }) {
  try {
    const context = { $root: data };
    if (host !== undefined && host !== null) context.$host = host;
    const value = new Template(template).expand(context);
    return { value: value === undefined ? null : value };
  } catch (error) {
    return { throws: true };
  }
}

console.warn = console.log = () => {};
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(expand(JSON.parse(line))) + "\n");
});
