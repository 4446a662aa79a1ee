// Checks the vectors in this folder with other libraries than the ones that made them: Node's own hashes, Ed25519 and
// AES, ristretto255 of @noble/curves, and protobufjs.
//
//     npm ci && node check.mjs            # every file
//     node check.mjs log.json             # one of them
import { createCipheriv, createHash, createHmac, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import protobuf from "protobufjs";

const folder = new URL(".", import.meta.url);
const Point = ristretto255.Point;
const order = Point.Fn.ORDER;
let checks = 0;

// Bytes and numbers.

const bytes = (hex) => Buffer.from(hex, "hex");
const text = (value) => Buffer.from(value, "utf8");
const join = (...parts) => Buffer.concat(parts.map((part) => (typeof part === "string" ? text(part) : Buffer.from(part))));
const sha256 = (...parts) => createHash("sha256").update(join(...parts)).digest();
const sha512 = (...parts) => createHash("sha512").update(join(...parts)).digest();
const hmac = (key, data) => createHmac("sha256", key).update(join(data)).digest();
const bigEndian = (number, size) => Buffer.from(BigInt(number).toString(16).padStart(2 * size, "0"), "hex");
const fromLittle = (data) => BigInt("0x" + Buffer.from(data).reverse().toString("hex"));
const toLittle = (number) => bigEndian(number, 32).reverse();
const modulo = (number) => ((number % order) + order) % order;
const scalar = (hex) => fromLittle(bytes(hex));
const point = (hex) => Point.fromBytes(typeof hex === "string" ? bytes(hex) : hex);
const times = (element, number) => (number === 0n ? Point.ZERO : element.multiply(number));
const lengths = (...parts) => join(...parts.flatMap((part) => [bigEndian(join(part).length, 2), part]));

function same(found, expected, what) {
  checks += 1;
  const read = (value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value);
  if (read(found) !== read(expected)) throw new Error(`${what}: ${read(found)} instead of ${read(expected)}`);
}

function holds(condition, what) {
  checks += 1;
  if (!condition) throw new Error(what);
}

// Messages: their one encoding, fields by number.

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => new URL(`../${target}`, folder).pathname;
root.loadSync(
  ["ceremony", "changes", "documents", "envelope", "hub", "linking", "log"].map((name) => `samprasan/v1/${name}.proto`),
  { keepCase: true },
);

function message(vector) {
  const type = root.lookupType(vector.type);
  same(type.encode(type.fromObject(vector.fields)).finish(), vector.payload, `the encoding of a ${type.name}`);
  return type.toObject(type.decode(bytes(vector.payload)), { longs: String, bytes: String, enums: String });
}

const encoded = (name, fields) => {
  const type = root.lookupType(`samprasan.v1.${name}`);
  return Buffer.from(type.encode(type.fromObject(fields)).finish());
};

// Signing: DSSE with Ed25519.

const pae = (type, payload) =>
  join("DSSEv1 ", `${text(type).length} `, type, ` ${payload.length} `, payload);

function isSigned(publicKey, data, signature) {
  const jwk = { kty: "OKP", crv: "Ed25519", x: publicKey.toString("base64url") };
  return verify(null, data, createPublicKey({ key: jwk, format: "jwk" }), signature);
}

function envelope(vector) {
  const found = message(vector);
  const payload = bytes(vector.payload);
  const name = vector.type.replace("samprasan.v1.", "").replace(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase();
  same(`application/vnd.samprasan.v1.${name}`, vector.payload_type, "the payload type");
  same(pae(vector.payload_type, payload), vector.pae, "PAE");
  same(sha256(payload), vector.digest, "the digest");
  for (const each of vector.signatures) {
    const key = bytes(each.public_key);
    same(sha256(key), each.key_id, "the key's id");
    holds(isSigned(key, bytes(vector.pae), bytes(each.signature)), "a signature does not hold");
  }
  return found;
}

function envelopes(file) {
  file.good.forEach(envelope);
  for (const each of file.bad) {
    const [signed] = each.signatures;
    const data = pae(each.payload_type, bytes(each.payload));
    holds(!isSigned(bytes(signed.public_key), data, bytes(signed.signature)), "a signature holds that must not");
  }
}

// Linking: RFC 9497, mode 0x01, with a key of which it takes two shares.

const context = join("OPRFV1-", Buffer.from([1]), "-ristretto255-SHA512");
const toGroup = (value) => ristretto255_hasher.hashToCurve(value, { DST: join("HashToGroup-", context) });
const toScalar = (data, tag) => modulo(fromLittle(expanded(data, tag)));
const coefficient = (index, other) => modulo(BigInt(other) * Point.Fn.inv(modulo(BigInt(other) - BigInt(index))));

function expanded(data, tag) {
  // expand_message_xmd of RFC 9380 for one block.
  const suffix = join(tag, Buffer.from([join(tag).length]));
  const first = sha512(Buffer.alloc(128), data, Buffer.from([0, 64, 0]), suffix);
  return sha512(first, Buffer.from([1]), suffix);
}

function proven(publicPoint, blinded, evaluated, proof) {
  const tag = join("HashToScalar-", context);
  const seed = sha512(lengths(publicPoint.toBytes(), join("Seed-", context)));
  const composite = join(lengths(seed), bigEndian(0, 2), lengths(blinded.toBytes(), evaluated.toBytes()), "Composite");
  const weight = toScalar(composite, tag);
  const [weighted, answer] = [times(blinded, weight), times(evaluated, weight)];
  const [challenge, response] = [fromLittle(proof.subarray(0, 32)), fromLittle(proof.subarray(32))];
  const commitments = [
    times(Point.BASE, response).add(times(publicPoint, challenge)),
    times(weighted, response).add(times(answer, challenge)),
  ];
  const seen = [publicPoint, weighted, answer, ...commitments].map((each) => each.toBytes());
  return toScalar(join(lengths(...seen), "Challenge"), tag) === challenge;
}

function pseudonyms(file) {
  const shares = Object.fromEntries(Object.entries(file.shares).map(([index, hex]) => [index, scalar(hex)]));
  for (const [index, share] of Object.entries(shares)) {
    same(times(Point.BASE, share).toBytes(), file.commitments[index], "a share's commitment");
  }
  const key = modulo(coefficient(1, 2) * shares[1] + coefficient(2, 1) * shares[2]);
  for (const each of file.cases) {
    const input = join(`samprasan/v1/${each.scheme}/${each.id}`);
    same(input, each.input, "the input");
    const [blind, element] = [scalar(each.blind), toGroup(input)];
    const blinded = times(element, blind);
    same(blinded.toBytes(), each.blinded, "the blinded element");
    const evaluated = times(blinded, shares[each.evaluator]);
    same(evaluated.toBytes(), each.evaluated, "the evaluated element");
    const [challenge, response] = [scalar(each.proof.slice(0, 64)), scalar(each.proof.slice(64))];
    same(modulo(scalar(each.nonce) - challenge * shares[each.evaluator]), response, "the proof's response");
    holds(proven(point(file.commitments[each.evaluator]), blinded, evaluated, bytes(each.proof)), "the proof");
    const [own, peer] = [coefficient(each.requester, each.evaluator), coefficient(each.evaluator, each.requester)];
    const part = times(element, modulo(own * shares[each.requester])); // of its own, without a blind
    const unblinded = part.add(times(evaluated, modulo(peer * Point.Fn.inv(blind))));
    same(unblinded.toBytes(), each.unblinded, "the unblinded element");
    same(unblinded.toBytes(), times(element, key).toBytes(), "what one holder of the key would find");
    same(sha512(lengths(input, unblinded.toBytes()), "Finalize").subarray(0, 32), each.pseudonym, "the pseudonym");
  }
  for (const each of file.public) {
    same(sha256("samprasan/v1/", each.public_id), each.subject_key, "a public id's subject key");
  }
}

// Ceremonies.

const ceremonyTag = "samprasan/v1/ceremony";

function ceremonies(file) {
  const made = ceremony(file.new_key);
  const renewed = ceremony(file.new_shares);
  same(renewed.key, made.key, "new shares are of the same key");
}

function ceremony(held) {
  const roster = message(held.roster);
  same(sha256(bytes(held.roster.payload)), Buffer.from(held.ceremony.fields.roster_digest, "base64"), "the roster's digest");
  message(held.ceremony);
  const id = bytes(held.ceremony.payload);
  const old = roster.linking;
  const dealers = roster.plan.dealers;
  for (const dealer of dealers) {
    const told = held.dealers[dealer];
    const [secret, constant, slope] = [bytes(told.secret), scalar(told.constant), scalar(told.slope)];
    const derived = (what) => toScalar(join(secret, id, dealer), ceremonyTag + what);
    same(derived("/slope"), slope, "a dealer's slope");
    if (old === undefined) same(derived("/constant"), constant, "a dealer's constant");
    else same(modulo(weight(held, dealers, dealer) * fromLittle(secret)), constant, "a share's part of the key");
    commitment(told.commitment, constant, slope, old, weight(held, dealers, dealer));
    for (const [holder, values] of Object.entries(held.values)) {
      same(modulo(constant + slope * BigInt(held.holders[holder])), scalar(values[dealer]), "a value");
    }
  }
  const digests = dealers.map((dealer) => sha256(bytes(held.dealers[dealer].commitment.payload)));
  same(sha256(ceremonyTag, id, ...digests), held.transcript, "the transcript");
  return { key: result(held, message(held.result)) };
}

function weight(held, dealers, dealer) {
  const own = BigInt(held.holders[dealer]);
  const others = dealers.filter((each) => each !== dealer).map((each) => BigInt(held.holders[each]));
  return others.reduce((found, other) => modulo(found * other * Point.Fn.inv(modulo(other - own))), 1n);
}

function commitment(told, constant, slope, old, coefficientOfOld) {
  const found = message(told);
  const points = Buffer.from(found.points, "base64");
  same(points, join(times(Point.BASE, constant).toBytes(), times(Point.BASE, slope).toBytes()), "the committed points");
  const proof = Buffer.from(found.proof, "base64");
  const [challenge, response] = [fromLittle(proof.subarray(0, 32)), fromLittle(proof.subarray(32))];
  const nonce = times(Point.BASE, response).add(times(point(points.subarray(0, 32)), challenge));
  const bound = join(encoded("CeremonyId", told.fields.ceremony), found.dealer, "/", points);
  same(toScalar(join(bound, nonce.toBytes()), `${ceremonyTag}/proof`), challenge, "the proof that it knows its constant");
  if (old !== undefined) {
    const share = old.commitments.find((each) => each.agency === found.dealer);
    const expected = times(point(Buffer.from(share.point, "base64")), coefficientOfOld);
    same(points.subarray(0, 32), expected.toBytes(), "the constant is its old share's");
  }
}

function result(held, made) {
  const key = made.linking;
  same(Buffer.from(key.transcript, "base64"), held.transcript, "the result names the transcript");
  for (const [holder, values] of Object.entries(held.values)) {
    const share = Object.values(values).reduce((sum, value) => modulo(sum + scalar(value)), 0n);
    same(share, scalar(held.shares[holder]), "a share");
    const named = key.commitments.find((each) => each.agency === holder);
    same(times(Point.BASE, share).toBytes(), Buffer.from(named.point, "base64"), "a share's point in the result");
  }
  const [first, second, third] = ["codi", "mpc", "nhco"].map((each) => [held.holders[each], scalar(held.shares[each])]);
  const combined = ([i, left], [j, right]) => modulo(coefficient(i, j) * left + coefficient(j, i) * right);
  same(combined(first, second), combined(second, third), "any two shares make the same key");
  return combined(first, second);
}

// The log.

function chain(file) {
  let previous = Buffer.alloc(32);
  const signed = [];
  file.batches.forEach((each, place) => {
    const batch = envelope(each);
    same(Number(batch.seq), place + 1, "the sequence number");
    same(Buffer.from(batch.previous, "base64"), previous, "the batch before");
    previous = bytes(each.digest);
    signed.push(...batch.updates.map((update) => Buffer.from(update.op_id, "base64").toString("hex")));
  });
  same(file.op_ids.map((each) => each.op_id).join(), signed.join(), "the ids of the operations");
  for (const each of file.op_ids) {
    const id = bytes(each.op_id);
    same(Number(BigInt("0x" + id.subarray(0, 6).toString("hex"))), each.day, "the day of an operation");
    holds(id[6] >> 4 === 7 && id[8] >> 6 === 2, "an operation's id is a UUIDv7");
  }
  const { agency, account_id, admission, tag } = file.admission;
  same(sha256("samprasan/v1/admission", agency, bytes(account_id), bytes(admission)).subarray(0, 16), tag, "the tag");
  const { account_id: moved, move_id, account } = file.move;
  same(sha256("samprasan/v1/move", bytes(moved), bytes(move_id)).subarray(0, 16), account, "an account in a move");
}

const leafHash = (entry) => sha256(Buffer.from([0]), entry);
const nodeHash = (left, right) => sha256(Buffer.from([1]), left, right);

function treeHash(leaves) {
  if (leaves.length === 0) return sha256("");
  if (leaves.length === 1) return leaves[0];
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split)));
}

function pathOf(leaves, index) {
  if (leaves.length === 1) return [];
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1));
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split ? [...pathOf(left, index), treeHash(right)] : [...pathOf(right, index - split), treeHash(left)];
}

function proofOf(leaves, earlier, isWhole = true) {
  if (earlier === leaves.length) return isWhole ? [] : [treeHash(leaves)];
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1));
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  if (earlier <= split) return [...proofOf(left, earlier, isWhole), treeHash(right)];
  return [...proofOf(right, earlier - split, false), treeHash(left)];
}

function log(file) {
  const leaves = file.receipts.map((each) => {
    envelope(each);
    return leafHash(bytes(each.digest));
  });
  leaves.forEach((leaf, place) => same(leaf, file.leaves[place], "a leaf"));
  file.roots.forEach((found, size) => same(treeHash(leaves.slice(0, size)), found, `the root of ${size} entries`));
  const listed = (hashes) => hashes.map((each) => Buffer.from(each).toString("hex")).join();
  leaves.forEach((_leaf, place) => {
    same(listed(pathOf(leaves, place)), file.inclusion[place].join(), "an inclusion proof");
    same(listed(place ? proofOf(leaves, place) : []), file.consistency[place].join(), "a consistency proof");
  });
  checkpoint(file);
}

function checkpoint(file) {
  const [body, signed] = file.checkpoint.split("\n\n");
  const [origin, size, treeRoot] = body.split("\n");
  same(origin, `samprasan/${file.federation_id}`, "the origin");
  same(Number(size), file.leaves.length, "the size");
  same(Buffer.from(treeRoot, "base64"), file.roots.at(-1), "the root");
  const lines = signed.trimEnd().split("\n").map((line) => line.split(" "));
  const line = (name, kind, key) => {
    const id = sha256(name, "\n", Buffer.from([kind]), key).subarray(0, 4);
    const data = Buffer.from(lines.find(([dash, named]) => dash === "—" && named === name)[2], "base64");
    same(data.subarray(0, 4), id, "a signature line's key id");
    return data.subarray(4);
  };
  const hub = bytes(file.hub_key);
  holds(isSigned(hub, text(`${body}\n`), line(origin, 1, hub)), "the hub's signature");
  for (const [agency, hex] of Object.entries(file.witnesses)) {
    const data = line(`${origin}/${agency}`, 4, bytes(hex));
    const seconds = BigInt("0x" + data.subarray(0, 8).toString("hex"));
    const word = text(`cosignature/v1\ntime ${seconds}\n${body}\n`);
    holds(isSigned(bytes(hex), word, data.subarray(8)), "a cosignature");
  }
}

// Documents, and what an integrator reads.

function documents(file) {
  for (const each of [...file.documents, file.dissent]) envelope(each);
  same(bytes(file.documents[0].digest).subarray(0, 16), file.federation_id, "the federation's id is roster 1's");
  for (const [language, words] of Object.entries(file.words)) {
    same(new Set(words).size, 256, `words in ${language}`);
    for (const each of file.documents) {
      const digest = bytes(each.digest);
      const spoken = [...digest, sha256(digest)[0]].map((byte) => words[byte]);
      same(spoken.join(" "), each.words[language].join(" "), `a digest as words in ${language}`);
    }
  }
}

function integrator(file) {
  const derived = (key, what) => hmac(key, `samprasan/v1/${what}`);
  const key = derived(bytes(file.secret), `${file.federation_id}/${file.integrator}/${file.epoch}`);
  same(hmac(derived(key, "handle"), bytes(file.handle.account_id)), file.handle.handle, "a handle");
  for (const { log_index, skipped, cuts, id } of file.ids) {
    const cipher = createCipheriv("aes-256-ecb", derived(key, "id"), null).setAutoPadding(false);
    const block = join(bigEndian(log_index, 5), bigEndian(skipped, 2), bigEndian(cuts, 1), Buffer.alloc(8));
    same(cipher.update(block), id, "an event's id");
  }
  for (const each of file.events) {
    const event = message(each);
    const read = each.document;
    const word = (value, prefix) => value?.slice(prefix.length).toLowerCase();
    same(Buffer.from(event.handle, "base64"), read.handle, "the handle of an event");
    same(Buffer.from(event.id, "base64"), read.id, "the id of an event");
    same(word(event.type, "EVENT_TYPE_"), read.type.replace(".", "_"), "what an event is");
    same(word(event.kind, "SUBJECT_KIND_"), read.kind, "the kind of its subject");
    same(word(event.cause, "CAUSE_"), read.cause, "its cause");
    same(event.agency, read.agency, "its agency");
    same(new Date(read.at).getTime(), Number(event.at), "its moment");
  }
}

const files = { pseudonym: pseudonyms, ceremony: ceremonies, envelope: envelopes, chain, log, documents, integrator };
const wanted = process.argv.slice(2).map((name) => name.replace(/\.json$/, ""));
for (const name of wanted.length ? wanted : Object.keys(files)) {
  checks = 0;
  try {
    files[name](JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")));
  } catch (problem) {
    console.error(`${name}.json: ${problem.message}`);
    process.exitCode = 1;
    continue;
  }
  console.log(`${name}.json: ${checks} checks`);
}
