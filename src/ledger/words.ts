import type { Database } from './database.ts';

/** Small numbers for table names, kinds and integrations, the same in every process. */
export interface Words {
  /** The number of a word; makes one if it is new. */
  idOf(word: string): Promise<number>;
}

/** Numbers are permanent, so each process may keep those it has seen. */
export function createWords(database: Database): Words {
  const known = new Map<string, number>();
  return {
    async idOf(word) {
      const seen = known.get(word);
      if (seen !== undefined) return seen;
      await database.query('INSERT INTO word (word) VALUES ($1) ON CONFLICT DO NOTHING', [word]);
      const [row] = await database.query<{ word_id: number }>('SELECT word_id FROM word WHERE word = $1', [word]);
      if (row === undefined) throw new Error(`The word ${word} vanished from the ledger.`);
      known.set(word, row.word_id);
      return row.word_id;
    },
  };
}
