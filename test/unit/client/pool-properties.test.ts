import { expect, it } from 'vitest';
import ours from '../../../src/index.js';

/** What a pool is told after it was made: the same by both doors, and nothing of it when a property is wrong. */

const OPTIONS = { fabric: '127.0.0.1', group: 'g', user: 'u' };

it('a pool takes properties, keeps the rest, and goes back to none', async () => {
  const pool = ours.createPool(OPTIONS);
  expect(pool.setProperty({ mode: 1 })).toBe(pool);
  expect(pool.properties).toMatchObject({ group: 'g', mode: 1 });
  const promised = pool.promise();
  expect(promised.setProperty({ group: 'h' })).toBe(promised);
  expect(pool.properties).toMatchObject({ group: 'h', mode: 1 });
  expect(() => pool.setProperty({ mode: 7 as never })).toThrow(
    expect.objectContaining({ code: 'FABRIC_BAD_PROPERTY' }),
  );
  expect(promised.properties).toMatchObject({ group: 'h', mode: 1 });
  expect(promised.resetProperties()).toBe(promised);
  expect(pool.properties).toMatchObject({ group: null, mode: 3 });
  pool.setProperty({ group: 'g' }).resetProperties();
  expect(promised.properties).toMatchObject({ group: null, mode: 3 });
  await promised.end();
});

it.each([
  ['https must be', { https: 'yes' }],
  ['exclude each other', { https: false, sslCa: '-----BEGIN ' }],
  ['belong together', { sslCert: '-----BEGIN ' }],
  ['name of a file', { sslCa: 5 }],
  ['cannot be read', { sslCa: '/no/such/file.pem' }],
  ['must be PEM', { sslCert: '-----BEGIN none', sslKey: '-----BEGIN none' }],
])('encryption that cannot be is told at once: %s', (words, tls) => {
  const fabric = { host: '127.0.0.1', ...tls } as never;
  const refused = expect.objectContaining({ code: 'FABRIC_BAD_OPTION', message: expect.stringContaining(words) });
  expect(() => ours.createPool({ ...OPTIONS, fabric })).toThrow(refused);
});
