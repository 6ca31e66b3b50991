// What the system says when it refuses: codes such as ENOENT, never messages.

/** Tells whether the system gave an error of this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
