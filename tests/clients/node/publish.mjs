// A producer in Node: node publish.mjs REDIS_URL '<fields as a JSON object of strings>'
import { createClient } from "redis";

const [url, fields] = process.argv.slice(2);
const client = createClient({ url });
await client.connect();
console.log(await client.xAdd("teams:events", "*", JSON.parse(fields)));
await client.close();
