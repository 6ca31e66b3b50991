// `countersign audit`: for those who trust nobody. Replays the decision list
// from public files, derives from it what every shard must say, and compares
// that, byte for byte, with what is served and signed. Of shelves, which no
// decision speaks of, it checks what can be checked, and says what cannot.

import { sha256 } from '@countersign/client/node';
import { canonicalBytes, hex, MetadataError, readShardName, sameBytes } from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { shardDraft } from '@countersign/repository';
import type { Context } from '../context.ts';
import { knownCollection } from '../decide.ts';
import { columns, counted, short } from '../output.ts';
import { type AuditedShelf, auditShelves, shelvesToAudit } from '../shelf-audit.ts';
import { shardsOf } from '../trusted-collection.ts';

/** Audits a collection. @throws MetadataError DECISIONS_INVALID naming the first thing that is not as it must be */
export async function audit(context: Context): Promise<void> {
  const { config, output } = context;
  const known = await knownCollection(context);
  const { register, lines } = known.list;
  const progress = output.progress('Comparing shards');
  const shards = await shardsOf(known.client, ['claimed', 'recent'], 'all');
  const rows: string[][] = [];
  for (const [done, { name, content }] of shards.entries()) {
    progress.update(done, shards.length);
    const projectOf = (ecosystem: string, project: string): ReturnType<ReturnType<typeof ecosystemOf>['project']> =>
      ecosystemOf(ecosystem).project(project);
    const derived = canonicalBytes(shardDraft(name, content.version, content.expires, register, projectOf));
    const served = canonicalBytes(content.json);
    if (!sameBytes(derived, served)) {
      throw new MetadataError(
        'DECISIONS_INVALID',
        `Auditing ${name}: it does not say what follows from the decisions`,
        {
          detail: { role: name, version: content.version, derived: hex(sha256(derived)), served: hex(sha256(served)) },
        },
      );
    }
    rows.push([
      name,
      `version ${content.version}`,
      counted(content.delegations?.roles.length ?? 0, 'name'),
      'as derived',
    ]);
  }
  const shelves = auditShelves(await shelvesToAudit(known.client), register);
  progress.end();
  const { sequence, entry } = register.tip;
  output.result(
    {
      collection: config.collection,
      decisions: sequence,
      head: entry,
      root: known.client.trusted.root.content.version,
      shards: shards.length,
      names: shards.reduce((sum, { content }) => sum + (content.delegations?.roles.length ?? 0), 0),
      shelves,
    },
    [
      `${config.collection}: ${lines.length} decisions replayed, each signed by those who may, in time and in order.`,
      `  head ${sequence}  ${short(entry)}…`,
      `${shards.length} shards say exactly what follows from them:`,
      ...columns(rows.filter(([name = '', , names]) => names !== '0 names' && readShardName(name) !== undefined)),
      ...shelfLines(shelves),
    ],
  );
}

function shelfLines(shelves: readonly AuditedShelf[]): readonly string[] {
  if (shelves.length === 0) return [];
  const rows = shelves.map(({ role, version, names, files, former }) => {
    const keys = former ? 'a former quorum: sign again with `countersign shelve --renew`' : 'the quorum';
    return [role, `version ${version}`, counted(names, 'name'), counted(files, 'file'), `signed by ${keys}`];
  });
  return [
    `${shelves.length === 1 ? '1 shelf holds' : `${shelves.length} shelves hold`} only names that were never claimed, and nothing beside their files:`,
    ...columns(rows),
    '  Nobody can derive that these files are those from before: for that stands the quorum, who signed them.',
  ];
}
