/** An error answer of Microsoft Graph. */
export class GraphError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'GraphError';
    this.status = status;
    this.code = code;
  }
}

export function notFound(id: string): GraphError {
  return new GraphError(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  );
}

export function unsupportedQuery(message: string): GraphError {
  return new GraphError(400, 'Request_UnsupportedQuery', message);
}

/** What the security API says, verbatim from errors/graph_403_*.json: the list after "application roles:" is what the token holds. */
export function missingRoles(required: readonly string[], held: readonly string[]): GraphError {
  return new GraphError(
    403,
    'Forbidden',
    `Missing application roles. API required roles: ${required.join(',')}, application roles: ${held.join(',')}.`,
  );
}

/** What the directory says: it names no role. */
export function insufficientPrivileges(): GraphError {
  return new GraphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');
}
