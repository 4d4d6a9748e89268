import fc from 'fast-check';
import { answer, type Challenge, parseChallenge } from '../../src/wire/digest.js';
import { decodeEnvelope } from '../../src/wire/reply.js';
import { decodeReply, encodeCall, XmlRpcFault } from '../../src/wire/xmlrpc.js';
import { type Input, mutate, mutations, type Protocol, type Replies } from './protocol.js';

/** Requests to the XML-RPC endpoint, right and wrong ones, and what is a right answer. */

const ADMIN = { user: 'admin', password: 'secret' };
/** Commands that change nothing: a node may well need more memory for more groups. */
const BODIES = [
  encodeCall('manage.ping', []),
  encodeCall('dump.servers', [0, 'my_group']),
  encodeCall('dump.fabric_nodes', ['protocol.xmlrpc']),
  encodeCall('group.lookup_servers', ['my_group', 'PRIMARY', null]),
  encodeCall('group.lookup_groups', []),
  encodeCall('group.health', ['my_group', 1]),
  encodeCall('server.lookup_uuid', ['127.0.0.1:34002', 1]),
  encodeCall('threat.report_error', [
    '7f620b72-e5e4-11f1-a89c-02fc0000ffff',
    'me',
    { errno: 2003, x: [true, 1.5, ''] },
  ]),
  encodeCall('_some_nonexisting_method', []),
];
const METHODS = ['POST', 'GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'];
const PATHS = ['/RPC2', '/', '/x', '*', '/RPC2?a=b', 'http://x/RPC2'];

const leaf = fc.oneof(
  fc.constantFrom(
    '<nil/>',
    '<int>1</int>',
    '<i4>x</i4>',
    '<boolean>2</boolean>',
    '<double>1e999</double>',
    '<string/>',
    '<base64>!</base64>',
  ),
  fc.string().map(text => `<string>${text}</string>`),
  fc.string(),
);
const { value } = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 6 },
    leaf,
    fc
      .array(tie('value'), { maxLength: 4 })
      .map(all => `<array><data>${all.map(v => `<value>${v}</value>`).join('')}</data></array>`),
    fc
      .array(tie('value'), { maxLength: 3 })
      .map(all => `<struct>${all.map(v => `<member><name>n</name><value>${v}</value></member>`).join('')}</struct>`),
  ),
}));
const grown = fc
  .tuple(
    fc.constantFrom('dump.servers', 'group.lookup_servers', 'threat.report_error', 'constructor', 'x', ''),
    fc.array(value, { maxLength: 5 }),
  )
  .map(
    ([name, params]) =>
      `<methodCall><methodName>${name}</methodName><params>${params.map(v => `<param><value>${v}</value></param>`).join('')}</params></methodCall>`,
  );
const body = fc.oneof(
  fc.constantFrom(...BODIES),
  grown,
  fc.tuple(fc.oneof(fc.constantFrom(...BODIES), grown), mutations).map(([text, changes]) => mutate(text, changes)),
);

/** @param digest a right `Authorization`; null: the thrower has no account. */
export function http(port: number, digest: (() => string) | null): Protocol {
  const right = digest ?? (() => DECEIT);
  const framed = fc
    .tuple(
      fc.constantFrom('POST', 'POST', 'POST', 'POST', ...METHODS),
      fc.constantFrom('/RPC2', '/RPC2', '/RPC2', ...PATHS),
      body,
      digestChange,
    )
    .map(
      ([method, path, text, change]): Input => ({
        framed: true,
        bytes: () => request(`${method} ${path} HTTP/1.1`, change(right()), bytesOf(text)),
      }),
    );
  const unframed = fc.tuple(fc.constantFrom(...FRAMES), fc.constantFrom(...BODIES), mutations).map(
    ([frame, text, changes]): Input => ({
      framed: false,
      bytes: () => Buffer.from(mutate(frame(`Authorization: ${right()}\r\n`, text), changes), 'latin1'),
    }),
  );
  const name = `HTTP, ${digest ? 'logged in' : 'a stranger'}`;
  const input = fc.oneof({ weight: 4, arbitrary: framed }, { weight: 3, arbitrary: unframed });
  return { name, port, connections: 48, input, greeting: null, judge };
}

const DECEIT = answer(
  { realm: 'MySQL Fabric', nonce: 'x'.repeat(48), opaque: 'y', algorithm: 'MD5', qop: 'auth', stale: false },
  { ...ADMIN, nc: 1 },
);

/** Mostly none. A header's text has no control characters. */
const digestChange: fc.Arbitrary<(header: string) => string> = fc.oneof(
  { weight: 5, arbitrary: fc.constant((header: string) => header) },
  {
    weight: 2,
    arbitrary: mutations.map(
      changes => (header: string) =>
        mutate(header, changes)
          .replace(/[^\t -~\x80-\xff]/g, ' ')
          .slice(0, 8_000),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      () => '',
      () => 'Basic YTpi',
      () => 'Digest',
      () => `Digest ${'a=b,'.repeat(1_000)}`,
    ),
  },
);

const bytesOf = (text: string): Buffer => Buffer.from(text.replace(/[\ud800-\udfff]/g, '?'), 'utf8');

function request(line: string, authorization: string, content: Buffer): Buffer {
  const head = `${line}\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: ${content.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), content]);
}

type Frame = (headers: string, text: string) => string;
const FRAMES: readonly Frame[] = [
  (headers, text) => `POST /RPC2 HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${text.length}\r\n\r\n${text}`,
  (headers, text) => `POST /RPC2 HTTP/1.0\r\n${headers}Content-Length: ${text.length}\r\n\r\n${text}`,
  (headers, text) =>
    `POST / HTTP/1.1\r\nHost: x\r\n${headers}Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)};x=y\r\n${text}\r\n0\r\nX: y\r\n\r\n`,
  (headers, text) =>
    `POST / HTTP/1.1\r\nHost: x\r\n${headers}Expect: 100-continue\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  (headers, text) =>
    `POST / HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n${text}`,
  headers =>
    `POST / HTTP/1.1\r\nHost: x\r\n${headers}Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n`,
  headers => `CONNECT x:1 HTTP/1.1\r\nHost: x\r\n${headers}\r\n`,
  headers => `POST / HTTP/1.1\r\n${headers.repeat(3)}Content-Length: 0\r\nContent-Length: 1\r\n\r\n`,
  headers => `POST / HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(300)}${headers}Content-Length: 2000000\r\n\r\nx`,
];

const NO_CHUNKS = '0\r\n\r\n';

/** Answers with a length of their own, or none and then the end. */
function judge(heard: Buffer, ended: boolean): Replies {
  let answers = 0;
  let last = false;
  let at = 0;
  while (at < heard.length) {
    const end = heard.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const [line = '', ...headers] = heard.toString('latin1', at, end).split('\r\n');
    const [, status = ''] = /^HTTP\/1\.1 (\d{3}) [\w -]+$/.exec(line) ?? [];
    if (status === '' || headers.some(header => !/^[\w-]+: .*$/.test(header)))
      throw new Error(`No head of an answer: ${line}`);
    if (last) throw new Error('An answer after the last one');
    const header = (name: string) =>
      headers.find(each => each.toLowerCase().startsWith(`${name}: `))?.slice(name.length + 2);
    // Node's own refusals have their nothing in chunks.
    const chunked = header('transfer-encoding') === 'chunked' && status.startsWith('4');
    const length = chunked ? NO_CHUNKS.length : Number(header('content-length') ?? 0);
    if (heard.length < end + 4 + length) break;
    at = end + 4 + length;
    if (status === '100') continue;
    const text = heard.toString('utf8', end + 4, at);
    judgeBody(status, header('content-type'), chunked && text === NO_CHUNKS ? '' : text);
    last = header('connection') === 'close';
    answers += 1;
  }
  if (ended && at < heard.length) throw new Error('An answer breaks off, or has more than its length');
  return { answers, last };
}

function judgeBody(status: string, type: string | undefined, text: string): void {
  if (status !== '200') {
    if (!/^(400|401|404|408|413|417|431|501|503)$/.test(status) || text !== '')
      throw new Error(`Status ${status} with ${text}`);
    return;
  }
  if (type !== 'text/xml') throw new Error(`An answer of type ${type}`);
  try {
    decodeEnvelope(decodeReply(text));
  } catch (error) {
    if (!(error instanceof XmlRpcFault)) throw error;
  }
}

/** Right answers to the challenges of a node, one after the other; each nonce has its time. */
export async function digests(port: number): Promise<() => string> {
  let challenge = await challenged(port);
  let uses = 0;
  const renewing = setInterval(() => {
    void challenged(port).then(
      fresh => {
        challenge = fresh;
        uses = 0;
      },
      () => {},
    );
  }, 30_000);
  renewing.unref();
  return () => answer(challenge, { ...ADMIN, nc: ++uses });
}

async function challenged(port: number): Promise<Challenge> {
  const { headers } = await fetch(`http://127.0.0.1:${port}/RPC2`, {
    method: 'POST',
    headers: { connection: 'close' },
  });
  const challenge = parseChallenge(headers.get('www-authenticate') ?? '');
  if (!challenge) throw new Error('The node does not challenge');
  return challenge;
}
