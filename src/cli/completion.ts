import { COMMON_OPTIONS, UsageError } from './arguments.js';
import { type CliCommand, catalogue, commandsOf, groups, options, typed } from './catalogue.js';
import { TOOL } from './help.js';

/** Scripts that make a shell complete groups, commands and options: tables of words from the commands, and a few lines to look them up. */

/** @throws UsageError for a shell that is not known. */
export function completion(shell: string | undefined): string {
  const script = SCRIPTS[shell ?? ''];
  if (!script) throw new UsageError('completion is for bash or zsh.', null);
  return script(cases());
}

const COMMON = COMMON_OPTIONS.map(({ name, type }) => `--${name}${type === 'string' ? '=' : ''}`);

/** What may follow the words that stand there, options aside. */
function cases(): string {
  const rows: [string, readonly string[]][] = [
    ['', [...groups, 'help', 'completion', ...COMMON]],
    ['help', ['groups', 'commands', ...groups]],
    ['completion', Object.keys(SCRIPTS)],
    ...groups.flatMap((group): [string, readonly string[]][] => {
      const names = commandsOf(group).map(({ name }) => name.slice(group.length + 1));
      return [
        [group, [...names, ...COMMON]],
        [`help ${group}`, names],
      ];
    }),
  ];
  const exact = rows.map(([words, next]) => `    '${words}') next='${next.join(' ')}' ;;\n`);
  // Behind a command come its own arguments, which no shell can know, and its options.
  const behind = [...catalogue.values()].map(
    command => `    '${typed(command)}' | '${typed(command)} '*) next='${optionWords(command).join(' ')}' ;;\n`,
  );
  return [...exact, ...behind].join('');
}

function optionWords(command: CliCommand): string[] {
  return [...options(command).map(({ name, type }) => `--${name}${type === 'bool' ? '' : '='}`), ...COMMON];
}

const SCRIPTS: Readonly<Record<string, (table: string) => string>> = {
  bash: table => `# Completion of ${TOOL} for bash: source <(${TOOL} completion bash)
_${TOOL}() {
  local current=\${COMP_WORDS[COMP_CWORD]} before='' next='' i word
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      --config | --param | --user | --password-file) ((i++)); [[ \${COMP_WORDS[i]} == '=' ]] && ((i++)) ;;
      -* | =) ;;
      *) before="$before\${before:+ }$word" ;;
    esac
  done
  case $before in
${table}  esac
  COMPREPLY=($(compgen -W "$next" -- "$current"))
  [[ \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _${TOOL} ${TOOL}
`,
  zsh: table => `#compdef ${TOOL}
# Completion of ${TOOL} for zsh: source <(${TOOL} completion zsh)
_${TOOL}() {
  local before='' next='' i word
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    case $word in
      --config | --param | --user | --password-file) ((i++)) ;;
      -*) ;;
      *) before="$before\${before:+ }$word" ;;
    esac
  done
  case $before in
${table}  esac
  local -a names forms
  names=(\${\${(z)next}:#*=}) forms=(\${(M)\${(z)next}:#*=})
  compadd -a names
  compadd -S '' -a forms
}
compdef _${TOOL} ${TOOL}
`,
};
