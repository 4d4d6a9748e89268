import { describe, expect, it } from 'vitest';
import { commands } from '../../../src/fabric/commands/all.js';
import { introspect } from '../../../src/fabric/endpoints/xmlrpc-introspection.js';
import type { XmlRpcValue } from '../../../src/wire/xmlrpc.js';

const told = (method: string, params: readonly XmlRpcValue[] = [], role = 'superadmin') =>
  introspect({ method, params }, { commands }, { user: 'u', roles: [role] });
const asked = (...given: Parameters<typeof told>) => {
  const answer = told(...given);
  return answer && 'value' in answer ? answer.value : undefined;
};

describe('system.listMethods', () => {
  it('lists the commands that the caller may call, and itself', () => {
    const all = asked('system.listMethods') as string[];
    expect(all).toEqual([...all].sort());
    expect(all).toEqual(expect.arrayContaining([...commands.keys(), 'system.listMethods', 'system.methodHelp']));
    expect(all.length).toBe(commands.size + 3);
    const few = asked('system.listMethods', [], 'connector') as string[];
    expect(few).toContain('dump.servers');
    expect(few).not.toContain('group.add');
  });
});

describe('system.methodHelp', () => {
  it('has what the manual has of a command', () => {
    expect(asked('system.methodHelp', ['group.create'])).toMatch(
      /^Create a group\.\ngroup_id: Name of the group\.\n\[description=NONE\]: .*\n\[synchronous=true\]: /,
    );
  });
});

describe('system.methodSignature', () => {
  it('has one for each number of arguments', () => {
    expect(asked('system.methodSignature', ['manage.ping'])).toEqual([['array']]);
    expect(asked('system.methodSignature', ['group.health'])).toEqual([
      ['array', 'string'],
      ['array', 'string', 'double'],
    ]);
    expect(asked('system.methodSignature', ['event.wait_for_procedures'])).toEqual([['array'], ['array', 'array']]);
  });
});

describe('what is no command, or not for the caller,', () => {
  it.each([
    ['system.methodHelp', ['group.nosuch'], 'superadmin', 'group.nosuch'],
    ['system.methodSignature', ['constructor'], 'superadmin', 'constructor'],
    ['system.methodHelp', ['group.add'], 'connector', 'group.add'],
    ['system.methodHelp', [], 'superadmin', 'undefined'],
  ])('has no %s: %j', (method, params, role, name) => {
    expect(told(method, params, role)).toEqual({ problem: `method "${name}" is not supported` });
  });

  it.each(['system.multicall', 'manage.ping'])('is left to others: %s', method => {
    expect(told(method)).toBeUndefined();
  });
});
