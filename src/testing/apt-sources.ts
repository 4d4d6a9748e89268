/** The machine's own package mirror, read from its apt configuration. Pure. */

/** One archive that apt reads. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** What the archive calls itself; known only once apt has fetched its lists. */
  readonly origin?: string;
}

/** What /etc/os-release says. */
export interface Distribution {
  readonly id: string;
  readonly codename: string;
}

/** The format that `apt-get indextargets --format` is asked for. */
export const INDEX_TARGET_FORMAT = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)';

/** Reads what `apt-get indextargets` printed in INDEX_TARGET_FORMAT. */
export function parseIndexTargets(text: string): AptSource[] {
  return lines(text).flatMap(line => {
    const [uri, suite, component, origin] = line.split('|');
    if (!uri || !suite || !component) return [];
    return [{ uri, suite, components: [component], ...(origin ? { origin } : {}) }];
  });
}

/** Reads a file of one-line entries: `deb [options] uri suite component...`. */
export function parseSourcesList(text: string): AptSource[] {
  return lines(text).flatMap(line => {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (!match?.[1] || !match[2] || !match[3]) return [];
    return [{ uri: match[1], suite: match[2], components: words(match[3]) }];
  });
}

/** Reads a file of deb822 stanzas (`*.sources`). */
export function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap(stanza => {
    const fields = deb822Fields(stanza);
    if (!words(fields.get('types')).includes('deb') || /^no$/i.test(fields.get('enabled') ?? '')) return [];
    const components = words(fields.get('components'));
    const suites = words(fields.get('suites'));
    return words(fields.get('uris')).flatMap(uri => suites.map(suite => ({ uri, suite, components })));
  });
}

function deb822Fields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match?.[1]) last = match[1].toLowerCase();
    if (last) fields.set(last, `${fields.get(last) ?? ''} ${match ? match[2] : line}`.trim());
  }
  return fields;
}

/** Reads /etc/os-release. */
export function parseOsRelease(text: string): Distribution {
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), codename: value('VERSION_CODENAME') };
}

/**
 * The entries a private apt needs to fetch MySQL: on Debian `sid` of the machine's mirror, for Debian's releases have none;
 * on Ubuntu the machine's own release. `signedBy` is the distribution's keyring, if apt does not trust it anyway.
 * Undefined when no mirror of the distribution is configured.
 */
export function mysqlSources(
  sources: readonly AptSource[],
  distribution: Distribution,
  options: { architecture: string; signedBy?: string },
): string[] | undefined {
  const own = sources.filter(source => isOwnArchive(source, distribution));
  const uri = own.find(source => source.components.includes('main'))?.uri;
  if (uri === undefined) return undefined;
  const keyring = options.signedBy ? ` signed-by=${options.signedBy}` : '';
  const entry = (suite: string, components: Iterable<string>) =>
    `deb [arch=${options.architecture}${keyring}] ${uri} ${suite} ${[...components].join(' ')}`;
  if (distribution.id === 'debian') return [entry('sid', ['main'])];
  const sameMirror = own.filter(source => source.uri === uri);
  const components = new Set(sameMirror.flatMap(source => source.components));
  return [...new Set(sameMirror.map(source => source.suite))].map(suite => entry(suite, components));
}

/** The distribution's own archive: no vendor's, no security or backports archive. */
function isOwnArchive(source: AptSource, { id, codename }: Distribution): boolean {
  if (source.origin !== undefined && source.origin.toLowerCase() !== id) return false;
  if (/security/.test(source.uri)) return false;
  const aliases = id === 'debian' ? ['sid', 'unstable', 'testing', 'stable', 'oldstable'] : [`${codename}-updates`];
  return source.suite === codename || aliases.includes(source.suite);
}

/** Which of the packages found carries the server: the unversioned one, else the newest. */
export function chooseServerPackage(names: readonly string[]): string | undefined {
  const servers = names.filter(name => /^mysql-server-core(-\d+\.\d+)?$/.test(name));
  const version = (name: string) =>
    Number.parseFloat(name.slice('mysql-server-core-'.length)) || Number.POSITIVE_INFINITY;
  return servers.sort((a, b) => version(b) - version(a))[0];
}

/** Whether a package of the server's dependencies can carry a library that it loads; the rest serves installing only. */
export function carriesLibraries(name: string): boolean {
  if (/^lib(perl|pam|debconf|db5|gdbm|selinux|semanage|sepol|audit|systemd|apparmor)/.test(name)) return false;
  return /^lib/.test(name) || /^zlib/.test(name) || /^mysql-server-core/.test(name);
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter(word => word !== '');
}
