// The lines between the rooms of the house (docs/architecture.md). A room may import what is listed, nothing else of ours.
const rooms = {
  'src/integrations': ['src/inventory'],
  'src/inventory': [],
  'src/azure': [],
  'src/servicenow': [],
  'src/ledger': [],
  'src/preflight': ['src/azure', 'src/servicenow', 'src/ledger', 'src/config', 'src/integrations', 'src/inventory', 'src/temporal'],
  // The worker hosts the activities; everything else in this room knows them by name only.
  'src/temporal': ['src/config', 'src/observability', 'workflows/contract', 'activities/index'],
  'src/config': [],
  'src/observability': ['src/config'],
  // docs/decisions/0002: reports are read where they are kept; the composition root is the activities'.
  'src/cli': [
    'src/temporal',
    'src/config',
    'src/observability',
    'src/ledger',
    'src/preflight',
    // docs/decisions/reconcile.md: what a person types is brought into the normal form before the ledger is asked.
    'src/inventory',
    'workflows/contract',
    'activities/(index|create-context|doctor|find-pairs|require-may-change|attachments)',
  ],
};

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    {
      name: 'workflows-are-alone',
      comment: 'Workflow code may import its own room and types of activities; anything else would be bundled into the sandbox.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^(src|lab|activities|test)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'lab-is-alone',
      comment: 'A misreading in src must not be mirrored by the lab.',
      severity: 'error',
      from: { path: '^lab/' },
      to: { path: '^(src|workflows|activities|test)/' },
    },
    {
      name: 'engine-does-not-import-lab',
      severity: 'error',
      from: { path: '^(src|workflows|activities)/' },
      to: { path: '^(lab|test|bench)/' },
    },
    {
      name: 'activities-import-src',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: '^workflows/', pathNot: '^workflows/contract' },
    },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `room-${room.replace('/', '-')}`,
      severity: 'error',
      from: { path: `^${room}/` },
      to: {
        path: '^(src|workflows|activities)/',
        // Leaf modules at the root of src (the domain words, the errors) are open to every room.
        pathNot: [`^${room}/`, '^src/[a-z-]+\\.ts$', ...allowed.map((other) => `^${other}`)],
      },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.mjs', '.js', '.json'] },
  },
};
