// Follows credit changes with @grpc/grpc-js alone, and prints each as a line of JSON.
//
//   node follow.mjs CREDENTIALS CURSOR_FILE PROTO_FOLDER
//
// CREDENTIALS is the JSON file of `samprasan-client request` and `accept`: the key, the certificate, the hub's address and
// authority.  CURSOR_FILE keeps the place, so that the next start goes on behind it.  PROTO_FOLDER holds samprasan/v1/*.proto.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const [credentialsFile, cursorFile, protoFolder] = process.argv.slice(2);
const own = JSON.parse(readFileSync(credentialsFile, 'utf8'));
const definition = protoLoader.loadSync('samprasan/v1/changes.proto', {
  includeDirs: [protoFolder],
  keepCase: true, // names as in the .proto files
  longs: String, // credits fit a number, but milliseconds and credits are int64
  enums: String,
  oneofs: true,
});
const { Changes } = grpc.loadPackageDefinition(definition).samprasan.v1;
const changes = new Changes(
  own.hub,
  grpc.credentials.createSsl(Buffer.from(own.authority), Buffer.from(own.key), Buffer.from(own.certificate)),
  { 'grpc.ssl_target_name_override': 'samprasan-hub', 'grpc.keepalive_time_ms': 60_000 },
);

const SILENCE_MS = 20_000; // a bookmark comes at least every 5 seconds
const NEVER_CURED = new Set([grpc.status.INVALID_ARGUMENT, grpc.status.UNAUTHENTICATED, grpc.status.FAILED_PRECONDITION]);

let failures = 0;
let cursor = existsSync(cursorFile) ? Buffer.from(readFileSync(cursorFile, 'utf8').trim(), 'hex') : Buffer.alloc(0);

/** Keep the place: written beside, made durable, then renamed, so that a crash leaves the old one or the new one. */
function keep(place) {
  cursor = place;
  const file = openSync(`${cursorFile}.new`, 'w', 0o600);
  writeSync(file, `${place.toString('hex')}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${cursorFile}.new`, cursorFile);
}

/** What the program is for: here it prints.  Whatever you do, do it before the place is kept. */
function handle(event) {
  const bytes = (value) => (value?.length ? value.toString('hex') : undefined);
  const { id, handle: subject, cursor: place, ...rest } = event;
  console.log(JSON.stringify({ id: bytes(id), cursor: bytes(place), handle: bytes(subject), ...rest }));
}

/** Everything that may be seen now; afterwards there is a place to follow from. */
async function snapshot() {
  console.log(JSON.stringify({ type: 'RESET' })); // forget what you knew
  let place;
  for await (const part of changes.Snapshot({})) {
    (part.events ?? []).forEach(handle);
    if (part.cursor?.length) place = part.cursor;
  }
  if (place) keep(place);
}

/** One stream's worth of changes; each page is handled whole before the place behind it is kept. */
async function follow() {
  const stream = changes.Follow({ after: cursor });
  const stop = () => stream.cancel();
  let silence = setTimeout(stop, SILENCE_MS);
  const watch = () => {
    clearTimeout(silence);
    failures = 0;
    silence = setTimeout(stop, SILENCE_MS);
  };
  try {
    for await (const word of stream) {
      watch();
      if (word.word === 'page') {
        word.page.events.forEach(handle);
        keep(word.page.events.at(-1).cursor);
      } else if (word.word === 'bookmark') {
        if (!word.bookmark.cursor.equals(cursor)) keep(word.bookmark.cursor);
      } else if (word.word === 'too_old') {
        await snapshot();
      }
      // draining: the hub is about to stop; the stream ends and a new one begins
    }
  } finally {
    clearTimeout(silence);
  }
}

while (true) {
  try {
    if (!cursor.length) await snapshot();
    await follow();
  } catch (problem) {
    if (NEVER_CURED.has(problem.code)) {
      console.error(`${grpc.status[problem.code]}: ${problem.details}`);
      process.exit(1);
    }
    failures += 1;
  }
  await sleep(Math.random() * Math.min(30_000, 500 * 2 ** failures)); // so that not all come back at once
}
