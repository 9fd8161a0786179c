// Publishes one entry: node publish.mjs REDIS_URL STREAM < fields.json   (a JSON object of string fields)
import { readFileSync } from 'node:fs';
import { createClient } from 'redis';

const [url, stream] = process.argv.slice(2);
const fields = JSON.parse(readFileSync(0, 'utf8'));

const client = await createClient({ url }).connect();
console.log(await client.xAdd(stream, '*', fields));
await client.close();
