import { expect, test } from 'vitest';
import {
  carriesLibraries,
  chooseServerPackage,
  mysqlSources,
  parseDeb822,
  parseIndexTargets,
  parseOsRelease,
  parseSourcesList,
} from '../../../src/testing/apt-sources.js';

const debian = { id: 'debian', codename: 'bookworm' };
const ubuntu = { id: 'ubuntu', codename: 'noble' };
const amd64 = { architecture: 'amd64' };

test('os-release names the distribution', () => {
  expect(parseOsRelease('PRETTY_NAME="Debian"\nVERSION_CODENAME=bookworm\nID=debian\n')).toEqual(debian);
  expect(parseOsRelease('ID="ubuntu"\nID_LIKE=debian\nVERSION_CODENAME="noble"')).toEqual(ubuntu);
  expect(parseOsRelease('')).toEqual({ id: '', codename: '' });
});

test('index targets: the mirror of the distribution, not the ones of vendors', () => {
  const sources = parseIndexTargets(
    [
      'http://vendor.test/apt/|bookworm|main|Vendor',
      'http://mirror.test/debian-security/|bookworm-security|main|Debian',
      'http://mirror.test/debian/|bookworm|main|Debian',
      '',
    ].join('\n'),
  );
  expect(sources).toHaveLength(3);
  expect(mysqlSources(sources, debian, { ...amd64, signedBy: '/k.gpg' })).toEqual([
    'deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian/ sid main',
  ]);
});

test('sources.list: options, comments and sources are understood', () => {
  const sources = parseSourcesList(
    '# a comment\ndeb-src http://mirror.test/debian bookworm main\ndeb [arch=amd64 trusted=yes] http://docker.test bookworm stable\n' +
      'deb http://mirror.test/debian bookworm main contrib # ours\n',
  );
  expect(sources.at(-1)).toEqual({
    uri: 'http://mirror.test/debian',
    suite: 'bookworm',
    components: ['main', 'contrib'],
  });
  expect(mysqlSources(sources, debian, amd64)).toEqual(['deb [arch=amd64] http://mirror.test/debian sid main']);
});

test('deb822: stanzas, folded fields, and disabled ones', () => {
  const sources = parseDeb822(`
# ours
Types: deb deb-src
URIs: http://mirror.test/ubuntu
Suites: noble noble-updates
 noble-backports
Components: main universe

Types: deb
Enabled: no
URIs: http://off.test/ubuntu
Suites: noble
Components: main

Types: deb
URIs: http://security.test/ubuntu
Suites: noble-security
Components: main
`);
  expect(sources.map(source => source.suite)).toEqual(['noble', 'noble-updates', 'noble-backports', 'noble-security']);
  expect(mysqlSources(sources, ubuntu, amd64)).toEqual([
    'deb [arch=amd64] http://mirror.test/ubuntu noble main universe',
    'deb [arch=amd64] http://mirror.test/ubuntu noble-updates main universe',
  ]);
});

test('Ubuntu index targets come one component per line', () => {
  const line = (component: string) => `http://mirror.test/ubuntu/|noble|${component}|Ubuntu`;
  expect(mysqlSources(parseIndexTargets(`${line('universe')}\n${line('main')}`), ubuntu, amd64)).toEqual([
    'deb [arch=amd64] http://mirror.test/ubuntu/ noble universe main',
  ]);
});

test('no mirror, no sources', () => {
  expect(mysqlSources([], debian, amd64)).toBeUndefined();
  expect(mysqlSources(parseSourcesList('deb http://vendor.test nodistro main'), debian, amd64)).toBeUndefined();
});

test('the server package: unversioned, else the newest', () => {
  expect(chooseServerPackage(['mysql-server-core-8.0', 'mysql-server-core'])).toBe('mysql-server-core');
  expect(chooseServerPackage(['mysql-server-core-8.0', 'mysql-server-core-8.4'])).toBe('mysql-server-core-8.4');
  expect(chooseServerPackage(['mysql-server-core-dbgsym', ''])).toBeUndefined();
});

test('of the dependencies, only what can carry libraries is fetched', () => {
  const names = [
    'libc6',
    'zlib1g',
    'libperl5.42',
    'perl-base',
    'gcc-16-base',
    'mysql-server-core',
    'libicu78',
    'debconf',
  ];
  expect(names.filter(carriesLibraries)).toEqual(['libc6', 'zlib1g', 'mysql-server-core', 'libicu78']);
});
